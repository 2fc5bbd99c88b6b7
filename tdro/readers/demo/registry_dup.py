"""Registries of databases: one's description -> the others' of the same resource (bioregistry)."""

from collections.abc import Iterator

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row
from tdro.readers.demo.catalogues import distinct_descriptions, resources

# A home page that many entries share is a portal's, not a resource's.
MOST_DESCRIPTIONS = 6


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row a resource that several registries describe in their own words."""
    for entries in resources(archive):
        query, *others = distinct_descriptions(entries)
        if others and len(others) < MOST_DESCRIPTIONS:
            yield Row(query, [Passage(text) for text in others])
