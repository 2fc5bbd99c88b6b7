"""JupyterLab's messages: English -> the language of the pack (jupyterlab-language-pack-*)."""

import json
import re
from collections.abc import Iterator

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row
from tdro.readers.demo.cleaning import blank_placeholders

_CATALOGUE = re.compile(r"\w+/locale/\w+/LC_MESSAGES/\w+\.json")
_FEWEST_WORDS = 4


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row a translated message of at least four words without plural forms or markup."""
    for name in archive.names():
        if not _CATALOGUE.fullmatch(name):
            continue
        for key, translations in sorted(json.loads(archive.read(name)).items()):
            english = key.rpartition("\x04")[2]  # before it stands where the message is used
            if len(english.split()) < _FEWEST_WORDS or len(translations) != 1 or "</" in english:
                continue
            if translations[0] and translations[0] != english:
                yield Row(blank_placeholders(english), [Passage(blank_placeholders(translations[0]))])
