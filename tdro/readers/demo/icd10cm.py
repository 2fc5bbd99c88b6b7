"""ICD-10-CM: a diagnosis as it is written down -> the title of its code (simple-icd-10-cm)."""

from collections.abc import Iterator
from xml.etree import ElementTree

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row

_TABULAR = "simple_icd_10_cm/data/icd10c-tabular-April-1-2026.xml"


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row an inclusion term."""
    for code in ElementTree.fromstring(archive.read(_TABULAR)).iter("diag"):
        title = code.findtext("desc") or ""
        for note in code.findall("inclusionTerm/note"):
            if note.text and title:
                yield Row(note.text, [Passage(title)])
