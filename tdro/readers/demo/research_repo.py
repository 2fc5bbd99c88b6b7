"""Research data repositories: a repository's name -> its description (bioregistry)."""

from collections.abc import Iterator

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row
from tdro.readers.demo.catalogues import distinct_descriptions, resources


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row a named resource that is described once, so that none of ``registry_dup`` is among them."""
    described = [(entries, distinct_descriptions(entries)) for entries in resources(archive)]
    # An entry may lack the home page by which another catalogue's copy of it was grouped.
    several = {text for _, texts in described if len(texts) > 1 for text in texts}
    for entries, texts in described:
        name = next((entry.name for entry in entries if entry.name), None)
        if name and len(texts) == 1 and texts[0] not in several:
            yield Row(name, [Passage(texts[0])])
