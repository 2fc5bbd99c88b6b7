"""Papers under a curator's topics: topic -> title and abstract (cherche, from Semanlink)."""

import json
from collections import defaultdict
from collections.abc import Iterator

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row
from tdro.readers.demo.cleaning import tidy

_FOLDER = "cherche-2.2.1/cherche/data/semanlink"
_EVERY_PAPER = "http://www.semanlink.net/tag/arxiv_doc"
_FEWEST_PAPERS = 2


def read(archive: Archive) -> Iterator[Row | Passage]:
    """Yield every paper, then a row a topic that at least two papers carry."""
    names = json.loads(archive.read(f"{_FOLDER}/tags.json"))
    tagged: dict[str, list[Passage]] = defaultdict(list)
    for paper in json.loads(archive.read(f"{_FOLDER}/arxiv.json")):
        passage = Passage(tidy(paper["arxiv_summary"]), tidy(paper["arxiv_title"]))
        yield passage
        for tag in paper["tag"]:
            tagged[tag].append(passage)
    for tag in sorted(tagged):
        if tag in names and tag != _EVERY_PAPER and len(tagged[tag]) >= _FEWEST_PAPERS:
            yield Row(names[tag]["prefLabel"][0], tagged[tag])
