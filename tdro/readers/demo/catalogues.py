"""Catalogues of research data resources in bioregistry: their entries, and which of them are one resource."""

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tdro.readers.archives import Archive
from tdro.readers.demo.cleaning import strip_html, strip_references

_CATALOGUES = ("re3data", "bartoc", "integbio")
# FAIRsharing is left out: its descriptions are share-alike.
_REGISTRIES = ("miriam", "obofoundry", "lov", "uniprot", "go")


class Entry(NamedTuple):
    """What one catalogue says of a resource; ``address`` tells which resource, if it is known."""

    name: str
    description: str
    address: str


def resources(archive: Archive) -> list[list[Entry]]:
    """All entries that have a description, those of one resource together, told by its home page."""
    groups: dict[str, list[Entry]] = defaultdict(list)
    for number, entry in enumerate(_entries(archive)):
        groups[entry.address or str(number)].append(entry)
    return list(groups.values())


def distinct_descriptions(entries: list[Entry]) -> list[str]:
    """Descriptions that no catalogue copied from another with small changes."""
    return list({re.sub(r"\W+", "", e.description.casefold())[:60]: e.description for e in entries}.values())


def _entries(archive: Archive) -> Iterator[Entry]:
    catalogues = {name: json.loads(archive.read(f"bioregistry/external/{name}/processed.json")) for name in _CATALOGUES}
    for part in itertools.chain(*(catalogue.values() for catalogue in catalogues.values())):
        yield from _entry(part, part.get("homepage"))
    for whole in json.loads(archive.read("bioregistry/data/bioregistry.json")).values():
        parts = [whole, *(whole[name] for name in _REGISTRIES if name in whole)]
        mapped = whole.get("mappings", {})
        parts += [catalogues[name].get(mapped[name], {}) for name in _CATALOGUES if name in mapped]
        homepage = next((part["homepage"] for part in parts if part.get("homepage")), None)
        for part in parts:
            yield from _entry(part, homepage)


def _entry(part: dict, homepage: str | None) -> Iterator[Entry]:
    if part.get("description"):
        description = strip_references(strip_html(part["description"]))
        yield Entry(strip_html(part.get("name") or ""), description, _address(homepage or ""))


def _address(homepage: str) -> str:
    """The same for http and https, with and without ``www.`` and a final slash."""
    return re.sub(r"^https?://(www\.)?", "", homepage.strip().lower()).rstrip("/")
