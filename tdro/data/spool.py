"""Texts on disk: each stored once, in the order in which they came, and streamed as often as needed.

A text is known by its 64-bit key, so that memory holds integers only. The file is one without a
name beside the output: the system takes it back when the process ends, however it ends.
"""

import tempfile
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from tdro.artifacts.fulldisk import naming
from tdro.artifacts.lists import Lists
from tdro.data.keys import KeyRows
from tdro.text.strings import key_array

# Texts wait for their keys to be looked up together, up to so many or so long.
_MOST_RECORDS = 8192
_MOST_CHARACTERS = 1 << 22


class Spool:
    """Records of strings on disk without repetition: of those with equal keys the first is kept.

    A record that is added gets a number at once, repeated ones included; :attr:`rows` tells in which row it is stored.

    Args:
        folder: where the nameless file lies; it must exist.
        columns: names of a record's strings.
    """

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self._schema = pa.schema([(name, pa.string()) for name in columns])
        self._place = folder / "a nameless temporary file"
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open as long as the spool
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = pa.ipc.new_file(self._file, self._schema, options=options)
        self._starts = [0]
        self._known, self._rows = KeyRows(), array("i")
        self._keys: list[bytes] = []
        self._records: list[tuple[str | None, ...]] = []
        self._characters = 0

    def __len__(self) -> int:
        """Number of distinct records."""
        return len(self._known)

    @property
    def rows(self) -> np.ndarray:
        """The row of each record that was added and flushed, by its number, int32."""
        return np.frombuffer(self._rows, dtype=np.int32)

    def add(self, key: bytes, record: tuple[str | None, ...]) -> int:
        """Add a record, which waits for :meth:`flush`; returns its number."""
        self._keys.append(key)
        self._records.append(record)
        self._characters += sum(len(part) for part in record if part)
        return len(self._rows) + len(self._keys) - 1

    @property
    def full(self) -> bool:
        """Whether enough waits to be flushed."""
        return len(self._keys) >= _MOST_RECORDS or self._characters >= _MOST_CHARACTERS

    def flush(self) -> None:
        """Store what waits."""
        rows, new = self._known.add(key_array(self._keys))
        self._rows.frombytes(rows.tobytes())
        if len(new):
            columns = zip(*(self._records[place] for place in new), strict=True)
            with naming(self._place):
                self._writer.write_batch(
                    pa.record_batch([pa.array(column, pa.string()) for column in columns], schema=self._schema)
                )
            self._starts.append(len(self))
        self._keys, self._records, self._characters = [], [], 0

    def select(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        """Stream the records of ``rows``, which rise: pieces of the rows, and their records.

        The first call ends adding.
        """
        if self._writer is not None:
            with naming(self._place):
                self._writer.close()
            self._writer = None
        reader = pa.ipc.open_file(self._file)
        bounds = np.searchsorted(rows, self._starts)
        for batch, (start, end) in enumerate(pairwise(bounds)):
            if start < end:
                piece = rows[start:end]
                yield piece, reader.get_batch(batch).take(pa.array(piece - self._starts[batch]))

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()


class Pairs:
    """Pairs of a query and a passage by their numbers in the spools, in the order met."""

    def __init__(self) -> None:
        self._owners, self._members = array("i"), array("i")

    def add(self, owner: int, members: list[int]) -> None:
        """Pair a query with passages."""
        self._owners.extend([owner] * len(members))
        self._members.extend(members)

    def lists(self, queries: Spool, passages: Spool) -> Lists:
        """For each distinct query the rows of its passages."""
        owners, members = (np.frombuffer(column, dtype=np.int32) for column in (self._owners, self._members))
        return Lists.from_pairs(queries.rows[owners], passages.rows[members], len(queries))
