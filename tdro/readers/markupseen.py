"""How many texts of a source look like HTML or Markdown, where nobody has said what shall become of it."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tdro.config.registry import Source
from tdro.formats import quoted
from tdro.readers.base import Item, Passage, Row
from tdro.text.markup import Kind, kind_of

_LOG = logging.getLogger(__name__)

Through = TypeVar("Through", bound=Item)

#: Texts of a source that are looked at, and the share of them from which on markup is told of.
LOOKED_AT, MANY = 5000, 0.05
# Fewer are no share of anything.
_FEWEST = 3


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
        if isinstance(item, Row):
            self.look(item.query)
            for passage in item.positives:
                if isinstance(passage, Passage):
                    self.look(passage.text)
        elif isinstance(item, Passage):
            self.look(item.text)

    @property
    def kind(self) -> Kind | None:
        """The kind of markup that many texts look like; None where they are few."""
        found = [(number, kind) for kind, number in self._found.items() if number >= max(_FEWEST, MANY * self.texts)]
        return max(found)[1] if found else None

    def sentence(self) -> str | None:
        """What is said of it, with what helps; None where there is nothing to be said."""
        kind = self.kind
        return _sentence(kind, self._found[kind] / self.texts, self.texts, self._examples[kind]) if kind else None

    def look(self, text: str) -> None:
        """Look at a text."""
        if not self._asked or self.texts >= LOOKED_AT:
            return
        self.texts += 1
        if kind := kind_of(text):
            self._found[kind] += 1
            self._examples.setdefault(kind, text)


def _sentence(kind: Kind, share: float, texts: int, example: str) -> str:
    named = {"html": "HTML", "markdown": "Markdown"}[kind]
    return (
        f"{share:.0%} of the first {texts:,} texts look like {named}, such as {quoted(example)}; `clean: {kind}` of "
        "the source takes the signs away, `clean: none` says that they are meant"
    )
