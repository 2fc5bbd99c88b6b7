"""The texts that a plan names, decoded once into Arrow files that all processes of a node map.

    FOLDER/{task}/corpus.arrow   columns ``title`` and ``text``, one row a passage that the plan names
    FOLDER/{task}/corpus.npy     int32, the row of each of them in ``corpus.parquet``, rising
    FOLDER/{task}/corpus.json    CRC-32 of both, written last
    FOLDER/{task}/queries.*      the same of queries, with a column ``query``

A Parquet column must be decoded to be read, and what each process decodes is its own memory. Pages of a mapped file
are there once, whatever the number of processes, and the system takes them back where memory is short.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tdro.artifacts.arrays import open_array, write_array
from tdro.artifacts.files import check_columns, checked, read_note, reading, replacing, write_json
from tdro.artifacts.layout import Layout
from tdro.artifacts.sums import crc
from tdro.errors import UserError
from tdro.models.processes import processes
from tdro.training.masks import passages_of

#: What a retriever reads of each file of a task.
READ = {
    "corpus": pa.schema([("title", pa.string()), ("text", pa.string())]),
    "queries": pa.schema([("query", pa.string())]),
}
# Row groups decoded at a time at most; each is some 32 MB of texts.
_DECODERS = 16


def keep_texts(plan: pa.Table, results: str | Path, folder: Path) -> None:
    """Write the files that are missing or damaged; all processes call it, the main one writes.

    Args:
        plan: Table of schema ``PLAN``, with as many negatives in every row.
        results: Folder of the results, which holds ``data/{task}/{corpus,queries}.parquet``.
        folder: Where they go. Whoever owns it removes it when plan or data change.

    Raises:
        UserError: when the plan names a row that a file does not have, or a file cannot be read.
    """
    if processes().is_main_process:
        layout = Layout(results)
        for task in plan["task"].unique().to_pylist():
            for file in (file for file in READ if not _is_whole(_path(folder, task, file))):
                rows = _named(plan.filter(pc.equal(plan["task"], task)), file)
                _write(_path(folder, task, file), Path(layout.task(task, f"{file}.parquet")), rows, READ[file])
    processes().wait_for_everyone()


class KeptTexts:
    """Texts of one file of a task by their rows; nothing of it is read before it is asked for.

    Args:
        folder: What :func:`keep_texts` has filled.
        task: A task of its plan.
        file: ``corpus`` or ``queries``.
    """

    def __init__(self, folder: Path, task: str, file: str) -> None:
        path = _path(folder, task, file)
        self._rows = open_array(path.with_suffix(".npy"))
        self._columns = pa.ipc.open_file(pa.memory_map(str(path))).read_all().columns

    def __getitem__(self, row: int) -> list[str]:
        """The texts of a row, one a column; null reads as empty.

        Raises:
            KeyError: when the plan has not named the row.
        """
        place = int(np.searchsorted(self._rows, row))
        if place == len(self._rows) or self._rows[place] != row:
            raise KeyError(row)
        return [column[place].as_py() or "" for column in self._columns]


def _named(plan: pa.Table, file: str) -> np.ndarray:
    """Rows of a file of the plan's only task that it names, rising."""
    return np.unique(passages_of(plan) if file == "corpus" else plan["query"].to_numpy())


def _path(folder: Path, task: str, file: str) -> Path:
    return folder / task / f"{file}.arrow"


def _sums(path: Path) -> dict[str, str]:
    return {file.name: crc(file) for file in (path, path.with_suffix(".npy"))}


def _is_whole(path: Path) -> bool:
    """Whether the files are there, and what was written: another run may have left them."""
    stated = read_note(path.with_suffix(".json"))
    return bool(stated) and path.is_file() and path.with_suffix(".npy").is_file() and _sums(path) == stated


def _write(path: Path, source: Path, rows: np.ndarray, schema: pa.Schema) -> None:
    """Write some rows of a Parquet file, which they are, and at last the checksums of both."""
    parquet = checked(source)
    groups = _by_group(source, parquet.metadata, rows, schema)

    def decoded(group: int, places: np.ndarray) -> pa.Table:
        with reading(source):
            table = parquet.row_group(group, schema.names, threads=False)
        return table.take(pa.array(places)).select(schema.names).cast(schema).combine_chunks()

    with replacing(path.with_suffix(".npy")) as temporary:
        write_array(temporary, rows.astype(np.int32))
    workers = min(_DECODERS, len(os.sched_getaffinity(0)))
    with replacing(path) as temporary, pa.ipc.new_file(temporary, schema) as file, ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(groups), workers):  # no more of them in memory
            for table in pool.map(decoded, *zip(*groups[first : first + workers], strict=True)):
                file.write_table(table)
    write_json(path.with_suffix(".json"), _sums(path))


def _by_group(
    source: Path, metadata: pq.FileMetaData, rows: np.ndarray, schema: pa.Schema
) -> list[tuple[int, np.ndarray]]:
    """The row groups that hold some of ``rows``, and the places of these in each."""
    check_columns(source, schema)
    if outside := [row for row in (rows[0], rows[-1]) if not 0 <= row < metadata.num_rows]:
        raise UserError(
            f"the plan names row {outside[0]} of {source}, which has {metadata.num_rows}; make the plan anew."
        )
    sizes = np.array([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)])
    starts = sizes.cumsum() - sizes
    parts = np.split(rows, np.searchsorted(rows, starts[1:]))
    return [(n, part - start) for n, (part, start) in enumerate(zip(parts, starts, strict=True)) if len(part)]
