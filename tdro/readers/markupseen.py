"""How many texts of a source look like HTML or Markdown, where nobody has said what shall become of it."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tdro.config.registry import Source
from tdro.readers.base import Item, Passage, Row
from tdro.text.markup import Kind, kind_of

_LOG = logging.getLogger(__name__)

Through = TypeVar("Through", bound=Item)

#: Texts of a source that are looked at, and the share of them from which on markup is told of.
LOOKED_AT, MANY = 5000, 0.05
# Fewer are no share of anything.
_FEWEST = 3
_SHOWN = 60


class MarkupSeen:
    """Looks at the first texts of a source.

    Args:
        dataset: What it is called in a message.
        source: The source; of one that says what becomes of markup nothing is told.

    Attributes:
        texts: How many were looked at.
    """

    def __init__(self, dataset: str, source: Source) -> None:
        self._dataset, self._asked = dataset, source.clean is None
        self.texts = 0
        self._found: Counter[Kind] = Counter()
        self._examples: dict[Kind, str] = {}

    def through(self, items: Iterable[Through]) -> Iterator[Through]:
        """The same items; at their end a warning, where many look like markup."""
        for item in items:
            self.add(item)
            yield item
        if said := self.sentence():
            _LOG.warning("%s: %s", self._dataset, said)

    def add(self, item: Item) -> None:
        """Look at the query and the positives of a row, or at a passage; no more where enough was seen."""
        if not self._asked or self.texts >= LOOKED_AT:
            return
        if isinstance(item, Row):
            self._look(item.query)
            for passage in item.positives:
                if isinstance(passage, Passage):
                    self._look(passage.text)
        elif isinstance(item, Passage):
            self._look(item.text)

    def sentence(self) -> str | None:
        """What is said of markup, with what helps; None where few texts have any."""
        for kind, number in self._found.most_common(1):
            if number >= max(_FEWEST, MANY * self.texts):
                return _sentence(kind, number / self.texts, self.texts, self._examples[kind])
        return None

    def _look(self, text: str) -> None:
        self.texts += 1
        if kind := kind_of(text):
            self._found[kind] += 1
            self._examples.setdefault(kind, text)


def _sentence(kind: Kind, share: float, texts: int, example: str) -> str:
    named = {"html": "HTML", "markdown": "Markdown"}[kind]
    shown = " ".join(example.split())
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return (
        f"{share:.0%} of the first {texts:,} texts look like {named}, such as {shown!r}; `clean: {kind}` of the source "
        "takes the signs away, `clean: none` says that they are meant"
    )
