"""Which rows of a task a plan draws, and which of their passages."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tdro.artifacts.lists import Lists, ranges
from tdro.errors import UserError

# Rows whose negatives are chosen at a time, which bounds what sorting their candidates takes.
_BLOCK = 1 << 16
# Passages drawn for a row that borrows, for each one that it wants, before the whole task is looked at.
_TRIES = 4


class Drawn(NamedTuple):
    """Rows of a plan: ``query`` and ``positive`` of shape (n,), ``negatives`` of shape (n, m), int64."""

    query: np.ndarray
    positive: np.ndarray
    negatives: np.ndarray


class TrainingRows:
    """The training rows of a task as arrays.

    Args:
        task: Its name, for messages.
        rows: Table of schema ``TRAIN``, in which every row has a query and a positive.
    """

    def __init__(self, task: str, rows: pa.Table) -> None:
        self.task = task
        self.queries = rows["query"].to_numpy()
        self.positives, self.candidates = Lists.from_arrow(rows["positives"]), Lists.from_arrow(rows["negatives"])

    def __len__(self) -> int:
        return len(self.queries)


class Draws:
    """Endless rows of one task: each pass over them in a new random order.

    Args:
        rows: The task's rows.
        seed: Decides the orders and the choices; equal seeds give equal orders, whatever is chosen of each row.
        apart_from: Queries whose rows come only with the passes over all rows; the others come before, each once.
    """

    def __init__(self, rows: TrainingRows, seed: list[int], apart_from: np.ndarray | None = None) -> None:
        self._rows = rows
        self._ordering, self._choosing = np.random.default_rng(seed).spawn(2)
        self._apart_from = apart_from

    def take(self, count: int, negatives: int) -> Drawn:
        """The first ``count`` rows, with ``negatives`` hard negatives each.

        Raises:
            UserError: when a row without negatives cannot borrow one, as the task has a single passage.
        """
        rows = self._rows
        drawn = self._order(count)
        positives = rows.positives.pick(drawn, self._choosing)
        blocks = [self._negatives(drawn[at : at + _BLOCK], negatives) for at in range(0, count, _BLOCK)]
        return Drawn(rows.queries[drawn], positives, np.concatenate([np.empty((0, negatives), int), *blocks]))

    def _order(self, count: int) -> np.ndarray:
        """Numbers of the rows drawn, shape (count,)."""
        parts = []
        if self._apart_from is not None:
            parts.append(self._ordering.permutation(np.flatnonzero(~np.isin(self._rows.queries, self._apart_from))))
        while sum(map(len, parts)) < count:
            parts.append(self._ordering.permutation(len(self._rows)))
        return np.concatenate([np.empty(0, int), *parts])[:count]

    def _negatives(self, drawn: np.ndarray, number: int) -> np.ndarray:
        """Negatives of some rows, shape (n, number).

        Distinct ones where a row has enough; where it has fewer, each comes once before any comes twice. A row
        without any borrows positives of other rows of its task.
        """
        chosen = np.empty((len(drawn), number), int)
        if not number:
            return chosen
        lists = self._rows.candidates
        lengths = lists.lengths[drawn]
        having = np.flatnonzero(lengths)
        chosen[having] = self._shuffled(drawn[having], number)
        for place in np.flatnonzero(lengths == 0):
            chosen[place] = self._borrowed(int(drawn[place]), number)
        return chosen

    def _shuffled(self, drawn: np.ndarray, number: int) -> np.ndarray:
        """``number`` candidates of each of some rows that have one, in random order."""
        lists = self._rows.candidates
        lengths = lists.lengths[drawn]
        rounds = -(-number // lengths)  # how often a row goes through its candidates
        sizes = lengths * rounds
        owners = np.repeat(np.arange(len(drawn)), sizes)
        places = ranges(0, sizes)
        round_of = places // lengths[owners]
        order = np.lexsort((self._choosing.random(len(owners)), round_of, owners))
        first = (np.cumsum(sizes) - sizes)[:, None] + np.arange(number)
        kept = order[first]
        return lists.values[lists.starts[drawn][:, None] + places[kept] % lengths[:, None]]

    def _borrowed(self, row: int, number: int) -> np.ndarray:
        """Positives of other rows that are none of this row, distinct ones as far as there are."""
        lists = self._rows.positives
        own = lists[row]
        tried = lists.values[self._choosing.integers(len(lists.values), size=_TRIES * number)]
        found = _distinct(tried[~np.isin(tried, own)])
        if len(found) < number:  # unlucky, or a task of few passages
            found = self._choosing.permutation(np.setdiff1d(lists.values, own))
        if not len(found):
            raise UserError(
                f"task {self._rows.task!r} has one passage only, so its rows can have no negatives; leave the task out."
            )
        return np.resize(found, number)


def _distinct(values: np.ndarray) -> np.ndarray:
    """Each value where it first stands."""
    return values[np.sort(np.unique(values, return_index=True)[1])]
