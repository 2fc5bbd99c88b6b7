"""Research data repositories: a repository's name -> its description (bioregistry)."""

import json
from collections.abc import Iterator

from tdro.packages import Archive
from tdro.sources import Passage, Row
from tdro.sources.cleaning import strip_html, strip_references

_CATALOGUES = ("re3data", "bartoc", "integbio")


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row an entry that has a name and a description."""
    for catalogue in _CATALOGUES:
        entries = json.loads(archive.read(f"bioregistry/external/{catalogue}/processed.json"))
        for entry in entries.values():
            if entry.get("name") and entry.get("description"):
                yield Row(strip_html(entry["name"]), [Passage(strip_references(strip_html(entry["description"])))])
