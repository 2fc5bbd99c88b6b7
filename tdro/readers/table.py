"""Parquet, CSV, TSV or JSON lines with columns that the registry names, read as a stream.

The path is a file, a folder of parts or a pattern (``data/train-*.parquet``, ``data/**/*.csv``); the parts are of one
kind and are read in the order of their names. A column holds strings, lists of strings, or objects with a ``text`` and
perhaps a ``title`` and a ``docid``; null is an empty string. CSV has a header line and may quote (RFC 4180); TSV has a
header line and no quoting: a tab always ends a cell, a line always a row.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tdro.config.registry import Columns
from tdro.errors import UserError
from tdro.readers.base import BadRow, Row, Split
from tdro.readers.cells import require, row_of
from tdro.readers.filekinds import check_parquet
from tdro.readers.files import ADVICE, BROKEN, NOT_UTF8, Malformed, json_value, lines, parsed, unreadable
from tdro.readers.listtext import refuse_lists_as_text
from tdro.readers.parts import chained, find
from tdro.readers.separated import rows_of_csv, rows_of_tsv

#: A record by its columns, or what is wrong with it, behind its place.
Placed = tuple[str, dict | Malformed]

# Rows of a Parquet file in memory at a time, and bytes read ahead of them a column.
_BATCH_ROWS = 1024
_BUFFER = 1 << 20


def read(path: Path, split: Split, columns: Columns) -> Iterator[Row | BadRow]:
    """Yield a row a row of the table; the files are one split.

    Raises:
        UserError: when there is no file, when one cannot be read or lacks a column, and when all are empty.
    """
    names = [name for name in columns.model_dump().values() if name]
    found = find(path, [f"{kind}{packed}" for kind in _KINDS for packed in ("", ".gz")])
    read_part = _reader(path, found)

    def rows(part: Path) -> Iterator[Row | BadRow]:
        records = read_part(part, names)
        read_rows = (_parsed(record, place, columns) for place, record in records)
        return refuse_lists_as_text(read_rows, str(part))

    yield from chained(found, rows, path)


def _reader(path: Path, found: list[Path]) -> Callable[[Path, list[str]], Iterator[Placed]]:
    """How files are read, which must be of one kind."""
    kinds = {kind for part in found for kind in _KINDS if part.name.lower().removesuffix(".gz").endswith(kind)}
    if len(kinds) != 1:
        has = f"holds {' and '.join(sorted(kinds))} files" if kinds else "is no file of these kinds"
        raise UserError(f"{path} {has}; `path` must name files of one kind: {', '.join(_KINDS)}.")
    return _KINDS[kinds.pop()]


def _parquet(path: Path, names: list[str]) -> Iterator[Placed]:
    try:
        check_parquet(path, ADVICE)
        with pq.ParquetFile(path, buffer_size=_BUFFER) as file:
            has = file.schema_arrow.names
            if not has and not file.metadata.num_rows:
                return
            require(path, names, has)
            number = 0
            for batch in file.iter_batches(_BATCH_ROWS, columns=names):
                for record in _records(batch):
                    number += 1
                    yield f"{path}, row {number}", record
    except (*BROKEN, pa.ArrowException) as error:
        raise unreadable(path, error) from None


def _records(batch: pa.RecordBatch) -> Iterator[dict | Malformed]:
    """Rows of a batch; one by one where a string is not UTF-8."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for place in range(len(batch)):
            try:
                yield batch.slice(place, 1).to_pylist()[0]
            except UnicodeDecodeError:
                yield Malformed(NOT_UTF8)


def _jsonl(path: Path, names: list[str]) -> Iterator[Placed]:
    def record(number: int, line: bytes) -> Placed:
        value = json_value(line)
        if not isinstance(value, dict):
            raise Malformed("is no JSON object")
        if missing := [name for name in names if name not in value]:
            raise Malformed(f"has no key {missing[0]!r}; it has {', '.join(value) or 'none'}")
        return f"{path}, line {number}", value

    for item in parsed(lines(path, json=True), str(path), record):
        yield (item.place, Malformed(item.reason)) if isinstance(item, BadRow) else item


_KINDS = {".parquet": _parquet, ".csv": rows_of_csv, ".tsv": rows_of_tsv, ".jsonl": _jsonl}


def _parsed(record: dict | Malformed, place: str, columns: Columns) -> Row | BadRow:
    try:
        if isinstance(record, Malformed):
            raise record
        return row_of(record, columns)
    except Malformed as error:
        return BadRow(place, str(error))
