"""Parquet, CSV, TSV or JSON lines with columns that the registry names, read as a stream.

The path is a file, a folder of parts or a pattern (``data/train-*.parquet``); the parts are of one
kind and are read in the order of their names. A column holds strings or lists of strings; null is an
empty string. CSV has a header line and may quote (RFC 4180); TSV has a header line and no quoting: a
tab always ends a cell, a line always a row.
"""

import csv
import re
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tdro.errors import UserError
from tdro.registry import Columns
from tdro.sources import BadRow, Passage, Row, Split
from tdro.sources.files import BROKEN, Malformed, json_value, lines, matching, parsed, some, unreadable

# A cell longer than this, in characters, is a quote that was never closed.
_LONGEST_CELL = 1 << 24
# What `surrogateescape` makes of a byte that is not UTF-8.
_ESCAPED = re.compile("[\udc80-\udcff]")
# Rows of a Parquet file in memory at a time, and bytes read ahead of them a column.
_BATCH_ROWS = 1024
_BUFFER = 1 << 20


def read(path: Path, split: Split, columns: Columns) -> Iterator[Row | BadRow]:
    """Yield a row a row of the table; the files are one split.

    Raises:
        UserError: when there is no file, when one cannot be read, is empty or lacks a column.
    """
    names = [name for name in columns.model_dump().values() if name]
    parts, read_part = _parts(path)
    for part in parts:
        found = read_part(part, names, lambda record: _row(record, columns))
        yield from some(found, f"{part} holds no rows; remove it or correct `path` of the source in the registry.")


def _parts(path: Path) -> tuple[list[Path], Callable]:
    """Files to read, in order, and how."""
    found = [path] if path.is_file() else path.iterdir() if path.is_dir() else matching(str(path))
    kinds: dict[str, list[Path]] = {}
    for part in sorted(found):
        for kind in _KINDS:
            if part.name.endswith((kind, f"{kind}.gz")) and part.is_file() and not part.name.startswith("."):
                kinds.setdefault(kind, []).append(part)
    if len(kinds) != 1:
        has = f"holds {' and '.join(kinds)} files" if kinds else "names no file of these kinds"
        raise UserError(f"{path} {has}; `path` must name files of one kind: {', '.join(_KINDS)}.")
    ((kind, parts),) = kinds.items()
    return parts, _KINDS[kind]


def _parquet(path: Path, names: list[str], parse: Callable[[dict], Row]) -> Iterator[Row | BadRow]:
    try:
        with pq.ParquetFile(path, buffer_size=_BUFFER) as file:
            _require(path, names, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(_BATCH_ROWS, columns=names):
                for record in _records(batch):
                    number += 1
                    yield _parsed(record, f"{path}, row {number}", parse)
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
                yield Malformed("is not UTF-8")


def _csv(path: Path, names: list[str], parse: Callable[[dict], Row]) -> Iterator[Row | BadRow]:
    yield from _cells(path, names, parse, delimiter=",")


def _tsv(path: Path, names: list[str], parse: Callable[[dict], Row]) -> Iterator[Row | BadRow]:
    yield from _cells(path, names, parse, delimiter="\t", quoting=csv.QUOTE_NONE)


def _cells(path: Path, names: list[str], parse: Callable[[dict], Row], **dialect: Any) -> Iterator[Row | BadRow]:
    """Rows of lines with separators; bytes that are not UTF-8 are carried through, to be found in their row."""
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(_decoded(path), strict=True, **dialect)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise unreadable(path, error) from None
    _require(path, names, header)
    while (record := _next(reader, header)) is not None:
        yield _parsed(record[1], f"{path}, line {record[0]}", parse)


def _decoded(path: Path) -> Iterator[str]:
    for number, line in enumerate(lines(path)):
        yield line.decode("utf-8" if number else "utf-8-sig", "surrogateescape")


def _next(reader: Any, header: list[str]) -> tuple[int, dict | Malformed] | None:
    """The next row that is not blank and the line that it starts on; None at the end."""
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return None
        except csv.Error as error:
            return line, Malformed(f"is not a row ({error})")
        if len(cells) == len(header):
            return line, dict(zip(header, cells, strict=True))
        if cells:
            return line, Malformed(f"has {len(cells)} cells, expected the {len(header)} of the header")


def _jsonl(path: Path, names: list[str], parse: Callable[[dict], Row]) -> Iterator[Row | BadRow]:
    def row(number: int, line: bytes) -> Row:
        value = json_value(line)
        if not isinstance(value, dict):
            raise Malformed("is no JSON object")
        if missing := [name for name in names if name not in value]:
            raise Malformed(f"has no key {missing[0]!r}")
        return parse(value)

    yield from parsed(lines(path), str(path), row)


_KINDS = {".parquet": _parquet, ".csv": _csv, ".tsv": _tsv, ".jsonl": _jsonl}


def _require(path: Path, names: list[str], has: list[str]) -> None:
    for name in names:
        if name not in has:
            raise UserError(
                f"{path} has no column {name!r}; it has {', '.join(has) or 'none'}. "
                "Correct `columns` of the source in the registry."
            )


def _parsed(record: dict | Malformed, place: str, parse: Callable[[dict], Row]) -> Row | BadRow:
    try:
        if isinstance(record, Malformed):
            raise record
        return parse(record)
    except Malformed as error:
        return BadRow(place, str(error))


def _row(record: dict, columns: Columns) -> Row:
    query = _strings(record, columns.query)
    if len(query) != 1:
        raise Malformed(f"has {len(query)} queries in column {columns.query!r}, expected one string")
    positives = _strings(record, columns.positive)
    titles = _strings(record, columns.title) if columns.title else [""]
    if len(titles) not in (1, len(positives)):
        raise Malformed(f"has {len(titles)} titles in column {columns.title!r} for {len(positives)} positives")
    titles = repeat(titles[0], len(positives)) if len(titles) == 1 else titles
    negatives = _strings(record, columns.negatives) if columns.negatives else []
    query_id = record[columns.query_id] if columns.query_id else None
    return Row(
        query[0],
        [Passage(text, title) for text, title in zip(positives, titles, strict=True)],
        [Passage(text) for text in negatives],
        None if query_id is None else str(query_id),
    )


def _strings(record: dict, column: str) -> list[str]:
    """What a cell holds, null as an empty string."""
    value = record[column]
    found = ["" if item is None else item for item in (value if isinstance(value, list) else [value])]
    for item in found:
        if not isinstance(item, str):
            raise Malformed(f"has {type(item).__name__} in column {column!r}, expected a string or a list of strings")
        if not item.isascii() and _ESCAPED.search(item):
            raise Malformed(f"is not UTF-8 in column {column!r}")
    return found
