"""Registries of databases: one's description -> another's of the same resource (bioregistry)."""

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterator

from tdro.packages import Archive
from tdro.sources import Passage, Row
from tdro.sources.cleaning import strip_html, strip_references

_CATALOGUES = ("re3data", "bartoc", "integbio")
# FAIRsharing is left out: its descriptions are share-alike.
_REGISTRIES = ("miriam", "obofoundry", "lov", "uniprot", "go")
# A home page that many entries share is a portal's, not a resource's.
_MOST_DESCRIPTIONS = 6


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row two registries that describe one resource, told by its home page, in their own words."""
    descriptions: dict[str, list[str]] = defaultdict(list)
    for homepage, text in _descriptions(archive):
        if homepage and text:
            descriptions[_address(homepage)].append(strip_references(strip_html(text)))
    for texts in descriptions.values():
        distinct = list({_letters(text)[:60]: text for text in texts}.values())
        if len(distinct) <= _MOST_DESCRIPTIONS:
            for query, positive in itertools.pairwise(distinct):
                yield Row(query, [Passage(positive)])


def _descriptions(archive: Archive) -> Iterator[tuple[str | None, str | None]]:
    """Home page and description of every entry, and of the entries that bioregistry maps to it."""
    catalogues = {name: json.loads(archive.read(f"bioregistry/external/{name}/processed.json")) for name in _CATALOGUES}
    for entry in itertools.chain(*(catalogue.values() for catalogue in catalogues.values())):
        yield entry.get("homepage"), entry.get("description")
    for entry in json.loads(archive.read("bioregistry/data/bioregistry.json")).values():
        parts = [entry, *(entry[name] for name in _REGISTRIES if name in entry)]
        mapped = entry.get("mappings", {})
        parts += [catalogues[name].get(mapped[name], {}) for name in _CATALOGUES if name in mapped]
        homepage = next((part["homepage"] for part in parts if part.get("homepage")), None)
        for part in parts:
            yield homepage, part.get("description")


def _address(homepage: str) -> str:
    """The same for http and https, with and without ``www.`` and a final slash."""
    return re.sub(r"^https?://(www\.)?", "", homepage.strip().lower()).rstrip("/")


def _letters(text: str) -> str:
    """What stays equal when a registry copies another's text with small changes."""
    return re.sub(r"\W+", "", text.casefold())
