"""Texts on disk: stored once, in the order in which they came, and streamed as often as needed.

A text is known by its 64-bit key, so that memory holds integers only. The file is one without a
name beside the output: the system takes it back when the process ends, however it ends.
"""

import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from tdro.artifacts.fulldisk import naming
from tdro.data.keys import KeyRows
from tdro.text.strings import key_array

# Texts wait for their keys to be looked up together, up to so many or so long.
_MOST_RECORDS = 8192
_MOST_CHARACTERS = 1 << 22


class Spool:
    """Records of strings on disk, numbered from 0.

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

    def append(self, records: Sequence[tuple[str | None, ...]]) -> None:
        """Add records in their order."""
        if records:
            columns = [pa.array(column, pa.string()) for column in zip(*records, strict=True)]
            with naming(self._place):
                self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
            self._starts.append(self._starts[-1] + len(records))

    def select(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        """Stream the records of ``rows``, which rise: pieces of the rows, and their records.

        The first call ends appending.
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


class Distinct:
    """Texts without repetition: the first of equal ones is kept.

    They are added one by one and get their rows in blocks, by :meth:`flush`.
    """

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self.spool = Spool(folder, columns)
        self._rows = KeyRows()
        self._keys: list[bytes] = []
        self._records: list[tuple[str | None, ...]] = []
        self._characters = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, key: bytes, record: tuple[str | None, ...]) -> int:
        """The place that a text has in the next block."""
        self._keys.append(key)
        self._records.append(record)
        self._characters += sum(len(part) for part in record if part)
        return len(self._keys) - 1

    @property
    def full(self) -> bool:
        """Whether the block is large enough to be flushed."""
        return len(self._keys) >= _MOST_RECORDS or self._characters >= _MOST_CHARACTERS

    def flush(self) -> tuple[np.ndarray, int]:
        """Store the block: the row of each of its texts, int32, and how many of them are new."""
        rows, new = self._rows.add(key_array(self._keys))
        self.spool.append([self._records[place] for place in new])
        self._keys, self._records, self._characters = [], [], 0
        return rows, len(new)
