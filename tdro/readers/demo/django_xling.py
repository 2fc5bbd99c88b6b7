"""Django's messages: a message in one of 97 languages -> the same in English (Django)."""

import re
import struct
from collections.abc import Iterator

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row
from tdro.readers.demo.cleaning import blank_placeholders

_CATALOGUE = re.compile(r"django/(?:conf|contrib/\w+)/locale/(?!en)\w+/LC_MESSAGES/\w+\.mo")
_MARKUP = re.compile(r"[<{\0\x04]")  # HTML, templates; plural forms and contexts
_FEWEST_WORDS = 4


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row a translation of a message of at least four words."""
    for name in archive.names():
        if _CATALOGUE.fullmatch(name):
            for english, translation in sorted(messages(archive.read(name))):
                if _MARKUP.search(english) or len(english.split()) < _FEWEST_WORDS or translation == english:
                    continue
                yield Row(blank_placeholders(translation), [Passage(blank_placeholders(english))])


def messages(catalogue: bytes) -> Iterator[tuple[str, str]]:
    """Original and translation of a gettext ``.mo`` file (the gettext module gives out single ones only).

    Layout: magic, revision, number n, offsets of two tables with n pairs of length and offset.
    """
    order = "<" if catalogue[:4] == b"\xde\x12\x04\x95" else ">"
    _, _, number, *tables = struct.unpack_from(f"{order}5I", catalogue)
    for index in range(number):
        original, translation = (struct.unpack_from(f"{order}2I", catalogue, table + 8 * index) for table in tables)
        if original[0] and translation[0]:
            yield _text(catalogue, *original), _text(catalogue, *translation)


def _text(catalogue: bytes, length: int, offset: int) -> str:
    return catalogue[offset : offset + length].decode("utf-8")
