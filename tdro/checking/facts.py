"""What the first rows of a dataset are, in figures."""

from collections import Counter
from collections.abc import Iterable
from functools import cached_property

from tdro.checking.looks import Look
from tdro.data.echoes import nearly
from tdro.data.nearduplicates import repeats
from tdro.readers.markupseen import MarkupSeen
from tdro.text.fingerprints import fingerprints
from tdro.text.languages import languages
from tdro.text.relations import said, written
from tdro.text.strings import count_words


class Facts:
    """Figures of a :class:`~tdro.checking.looks.Look`; each is computed when it is asked for.

    Args:
        look: The first rows.
        distance: Bits in which the hashes of nearly identical texts differ at most (``dedup.distance``).
    """

    def __init__(self, look: Look, distance: int) -> None:
        self.look, self._distance = look, distance

    @cached_property
    def queries(self) -> list[str]:
        """Distinct queries that are not empty, in the order met."""
        return _distinct(self.look.queries)

    @cached_property
    def passages(self) -> list[str]:
        """Distinct passages likewise: positives, and those of a corpus."""
        return _distinct([*self.look.positives, *self.look.passages])

    @cached_property
    def query_words(self) -> float:
        """Mean words of a distinct query."""
        return _mean(map(count_words, self.queries))

    @cached_property
    def passage_words(self) -> float:
        """Mean words of a distinct passage."""
        return _mean(map(count_words, self.passages))

    @cached_property
    def empty_queries(self) -> int:
        """Rows whose query is empty."""
        return sum(not query.strip() for query in self.look.queries)

    @cached_property
    def empty_positives(self) -> int:
        """Rows without a positive that holds something."""
        return sum(not any(map(str.strip, texts)) for _, texts in self.look.pairs)

    @cached_property
    def languages(self) -> Counter[str]:
        """How many of the distinct texts are in which language, of those that can be told."""
        return languages([*self.queries, *self.passages])

    @cached_property
    def markup(self) -> MarkupSeen:
        """What the distinct texts look like."""
        seen = MarkupSeen(self.look.name, self.look.entry.source)
        for text in (*self.queries, *self.passages):
            seen.look(text)
        return seen

    @cached_property
    def echoes(self) -> tuple[int, int, str]:
        """Rows of which a positive says the same as the query, rows where one nearly does, and an example."""
        same, near, example = 0, 0, ""
        for query, positives in self.look.pairs:
            asked, told = said(query), [said(text) for text in positives if text.strip()]
            if asked in told:
                same, example = same + 1, example or query
            elif any(nearly(asked, other) for other in told):
                near, example = near + 1, example or query
        return same, near, example

    @cached_property
    def near_passages(self) -> tuple[int, tuple[str, str] | None]:
        """Distinct positives that nearly equal an earlier one by their hashes, and the first of these with its twin."""
        texts = _distinct(self.look.positives)
        found = repeats(fingerprints(texts), self._distance)
        if found.is_empty():
            return 0, None
        left, right, _ = found.row(0)
        return len(found), (texts[right], texts[left])

    @cached_property
    def distinct_positives(self) -> int:
        """Distinct positives."""
        return len(_distinct(self.look.positives))

    def others_alike(self, batch: int) -> float:
        """Of a batch of so many rows, how many others have the same first positive as a row, on average.

        With c_i rows of the i-th positive and n rows in all that is (batch - 1) sum(c_i (c_i - 1)) / (n (n - 1)).
        """
        counts = Counter(written(texts[0]) for _, texts in self.look.pairs if texts)
        rows = counts.total()
        pairs = sum(number * (number - 1) for number in counts.values())
        return (batch - 1) * pairs / (rows * (rows - 1)) if rows > 1 else 0.0

    def expected_queries(self) -> int:
        """Distinct queries of all rows that were counted, if they repeat as those that were looked at."""
        looked = len(self.look.pairs)
        return round(self.look.rows * len(self.queries) / looked) if looked else 0

    def expected_passages(self) -> int:
        """Distinct passages likewise."""
        looked = len(self.look.pairs)
        return round(self.look.rows * self.distinct_positives / looked) if looked else 0


def _distinct(texts: Iterable[str]) -> list[str]:
    """The first of texts that are the same, without empty ones."""
    found: dict[str, str] = {}
    for text in texts:
        if text.strip():
            found.setdefault(written(text), text)
    return list(found.values())


def _mean(numbers: Iterable[int]) -> float:
    counted = list(numbers)
    return sum(counted) / len(counted) if counted else 0.0
