"""Identifiers of queries and passages: those that a source's rows name, and those that are written.

What is written is the source's own identifier, each once, and a made one for the rest.
"""

from array import array

import numpy as np

from tdro.data.keys import KeyRows
from tdro.text.strings import exact_key, key_array, mended


class Identifiers:
    """The source's identifiers, and ours where it has none or uses one twice."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._taken = KeyRows()

    def of(self, rows: np.ndarray, given: list[str | None]) -> list[str]:
        """Identifiers of the next rows."""
        made = [f"{self._prefix}{row}" for row in rows]
        ids = [own or other for own, other in zip(given, made, strict=True)]
        _, new = self._taken.add(key_array(map(exact_key, ids)))
        repeated = np.setdiff1d(np.arange(len(ids)), new)
        for place in repeated:
            ids[place] = made[place]
        self._taken.add(key_array(exact_key(made[place]) for place in repeated))
        return ids


class Listed:
    """Passages of the source's own corpus, by identifier: of equal identifiers the first counts.

    Attributes:
        named: numbers of all that are not empty, with or without an identifier.
        repeated: how many had an identifier that was used before.
        waiting: identifier, words and number of those that wait for :meth:`flush`.
    """

    def __init__(self) -> None:
        self._by_id = KeyRows()
        self._words, self._numbers, self.named = array("i"), array("i"), array("i")
        self.repeated = 0
        self.waiting: list[tuple[str, int, int]] = []

    def add(self, passage_id: str | None, words: int, number: int) -> None:
        """Enter a passage by its number in the spool; an empty one has no words."""
        if words:
            self.named.append(number)
        if passage_id is not None:
            self.waiting.append((passage_id, words, number))

    def flush(self) -> None:
        """Make what waits known to :meth:`find`."""
        _, new = self._by_id.add(key_array(exact_key(passage_id) for passage_id, _, _ in self.waiting))
        self._words.extend(self.waiting[place][1] for place in new)
        self._numbers.extend(self.waiting[place][2] for place in new)
        self.repeated += len(self.waiting) - len(new)
        self.waiting = []

    def find(self, passage_id: str) -> tuple[int, int]:
        """Words and number of a passage that was flushed; raises KeyError for an unknown one."""
        entry = int(self._by_id.find(key_array([exact_key(passage_id)]))[0])
        if entry < 0:
            raise KeyError(f"no passage {passage_id!r} came before the row that names it")
        return self._words[entry], self._numbers[entry]


def clean(given: str | None) -> str | None:
    """An identifier on one line; None where there is none."""
    return " ".join(mended(given).split()) or None if given else None
