"""A list of numbers for each row of something else, as two arrays instead of Python lists."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Lists are compared so many values at a time, which bounds what sorting them takes.
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Lists:
    """Lists of numbers, one after the other.

    Attributes:
        values: all of them; int32 where they are rows.
        starts: where each list starts, and at last where the last one ends, int64 of shape (n + 1,).
    """

    values: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, lengths: np.ndarray) -> Self:
        """Lists of these lengths."""
        return cls(values, _starts(lengths))

    @classmethod
    def from_arrow(cls, column: pa.ChunkedArray | pa.ListArray) -> Self:
        """An Arrow column of lists; null is an empty list."""
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        return cls.of(pc.list_flatten(column).to_numpy(), lengths.to_numpy())

    @classmethod
    def from_pairs(cls, owners: np.ndarray, values: np.ndarray, total: int) -> "Lists":
        """Lists out of pairs: what each of ``total`` owners has, without repetition, in the order of the pairs."""
        if np.any(owners[1:] < owners[:-1]):
            order = np.argsort(owners, kind="stable")
            owners, values = owners[order], values[order]
        lists = cls(values, np.searchsorted(owners, np.arange(total + 1)))
        kept = np.zeros(len(values), dtype=bool)
        for first, block in lists._blocks():
            kept[lists.starts[first] + np.unique(block._pairs(), return_index=True)[1]] = True
        return lists.where(kept)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        """One list."""
        return self.values[self.starts[row] : self.starts[row + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Length of each list, int64 of shape (n,)."""
        return np.diff(self.starts)

    def count(self, marked: np.ndarray) -> np.ndarray:
        """How many values of each list are ``marked``, a bool for each value that there may be; int64 of shape (n,)."""
        return np.diff(_starts(marked[self.values])[self.starts])

    def take(self, rows: np.ndarray) -> "Lists":
        """The lists of some rows."""
        lengths = self.lengths[rows]
        return Lists.of(self.values[ranges(self.starts[rows], lengths)], lengths)

    def pick(self, rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """A value of the list of each of ``rows``, none of which is empty."""
        places = (random.random(len(rows)) * self.lengths[rows]).astype(np.int64)
        return self.values[self.starts[rows] + places]

    def where(self, kept: np.ndarray) -> "Lists":
        """The values for which ``kept``, a bool a value, is true."""
        return Lists(self.values[kept], _starts(kept)[self.starts])

    def missing(self, other: "Lists") -> np.ndarray:
        """Whether the list of the same row in ``other`` lacks a value, a bool a value."""
        found = np.ones(len(self.values), dtype=bool)
        for first, block in self._blocks():
            against = other.take(np.arange(first, first + len(block)))
            start = self.starts[first]
            found[start : start + len(block.values)] = ~np.isin(block._pairs(), against._pairs())
        return found

    def owners(self) -> np.ndarray:
        """The row of each value, int32."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    def arrow(self) -> pa.ListArray:
        """The same as an Arrow column."""
        return pa.ListArray.from_arrays(pa.array(self.starts, pa.int32()), pa.array(self.values))

    def _pairs(self) -> np.ndarray:
        """Row and value of each value in one integer."""
        return np.repeat(np.arange(len(self)), self.lengths) << 32 | self.values

    def _blocks(self) -> Iterator[tuple[int, "Lists"]]:
        """The lists in blocks of bounded size (or of one list), each with the row of its first list."""
        row = 0
        while row < len(self):
            start = self.starts[row]
            end = max(row + 1, int(np.searchsorted(self.starts, start + _BLOCK, side="right")) - 1)
            yield row, Lists(self.values[start : self.starts[end]], self.starts[row : end + 1] - start)
            row = end


def ranges(starts: np.ndarray | int, counts: np.ndarray) -> np.ndarray:
    """The numbers from each start on, as many as its count, one range after the other, int64.

    >>> ranges(np.array([7, 0]), np.array([2, 3])).tolist()
    [7, 8, 0, 1, 2]
    """
    return np.arange(counts.sum()) + np.repeat(starts - (np.cumsum(counts) - counts), counts)


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])
