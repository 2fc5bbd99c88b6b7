"""Common Weakness Enumeration: a real vulnerability -> the weakness behind it (cwe2)."""

from collections.abc import Iterator
from xml.etree import ElementTree

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row
from tdro.readers.demo.cleaning import tidy

_CATALOGUE = "cwe2/database_v49/cwec_v4.14.xml"
_NAMESPACE = {"cwe": "http://cwe.mitre.org/cwe-7"}


def read(archive: Archive) -> Iterator[Row | Passage]:
    """Yield every weakness in force, and a row an observed example of it."""
    catalogue = ElementTree.fromstring(archive.read(_CATALOGUE))
    for weakness in catalogue.iterfind("cwe:Weaknesses/cwe:Weakness", _NAMESPACE):
        if weakness.get("Status") == "Deprecated":
            continue
        description = weakness.findtext("cwe:Description", "", _NAMESPACE)
        passage = Passage(tidy(description), weakness.get("Name"), f"CWE-{weakness.get('ID')}")
        yield passage
        for example in weakness.iterfind("cwe:Observed_Examples/cwe:Observed_Example", _NAMESPACE):
            yield Row(tidy(example.findtext("cwe:Description", "", _NAMESPACE)), [passage])
