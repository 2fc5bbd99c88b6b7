"""Texts by their rows, wherever these stand in a Parquet file that need not fit into memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tdro.artifacts.files import decoded
from tdro.errors import UserError


class Stored:
    """Columns of a Parquet file, decoded once into an Arrow file that is mapped: only what is asked for is read.

    Args:
        source: The Parquet file.
        schema: Its columns.
        folder: Where the decoded file goes; it must exist. It is about as large as the texts.
    """

    def __init__(self, source: Path, schema: pa.Schema, folder: Path) -> None:
        self._source = source
        mapped = decoded(source, schema, folder / f"{source.stem}.arrow")
        self._batches = [mapped.get_batch(number) for number in range(mapped.num_record_batches)]
        self._starts = np.cumsum([0, *map(len, self._batches)])

    def __getitem__(self, rows: list[int]) -> dict[int, dict[str, Any]]:
        """Some rows, each once, by their numbers.

        Raises:
            UserError: for a row that the file does not have.
        """
        wanted = np.unique(np.array(rows, np.int64))
        if len(wanted) and not 0 <= wanted[0] <= wanted[-1] < self._starts[-1]:
            wrong = wanted[-1] if wanted[0] >= 0 else wanted[0]
            raise UserError(f"{self._source} has no row {wrong}; make the training rows anew (rule dedup).")
        found = {}
        parts = np.split(wanted, np.searchsorted(wanted, self._starts[1:-1]))
        for batch, start, part in zip(self._batches, self._starts, parts, strict=False):
            if len(part):
                taken = batch.take(pa.array(part - start)).to_pylist()
                found.update(zip(part.tolist(), taken, strict=True))
        return found
