"""Chinese dictionary: a word -> its definition (jionlp)."""

import re
from collections.abc import Iterator

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row
from tdro.readers.demo.zh_riddle import zipped_lines

_NUMBER = re.compile(r"\d+\.")
# Entries damaged on their way into the package, and those that only point to another entry.
_DAMAGED = re.compile(r"[A-Za-z＜＞『』\ufffd]")
_POINTER = re.compile(r"(见|亦作|同|犹|参见)[\"“「][^\"”」]*[\"”」]。?")


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row a word of at least two characters; the numbers of its senses are left out."""
    for word, definition in zipped_lines(archive, "chinese_word_dictionary"):
        definition = _NUMBER.sub(" ", definition).strip()
        if len(word) > 1 and not _DAMAGED.search(definition) and not _POINTER.fullmatch(definition):
            yield Row(word, [Passage(definition)])
