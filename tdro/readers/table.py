"""Parquet, CSV, TSV or JSON lines with columns that the registry names, read as a stream.

The path is a file, a folder of parts or a pattern (``data/train-*.parquet``, ``data/**/*.csv``); the parts are of one
kind and are read in the order of their names. A column holds strings, lists of strings, or objects with a ``text`` and
perhaps a ``title`` and a ``docid``; null is an empty string. CSV has a header line and may quote (RFC 4180); TSV has a
header line and no quoting: a tab always ends a cell, a line always a row.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tdro.config.registry import Columns
from tdro.errors import UserError
from tdro.readers.base import BadRow, Row, Split
from tdro.readers.cells import require, row_of
from tdro.readers.files import Malformed, objects
from tdro.readers.listtext import refuse_lists_as_text
from tdro.readers.parts import chained, find
from tdro.readers.records import of_parquet, parsed_records
from tdro.readers.separated import of_separated

#: Makes a row of a record.
Parse = Callable[[dict], Row]
Rows = Iterator[Row | BadRow]


def read(path: Path, split: Split, columns: Columns) -> Rows:
    """Yield a row a row of the table; the files are one split.

    Raises:
        UserError: when there is no file, when one cannot be read or lacks a column, and when all are empty.
    """
    names = [name for name in columns.model_dump().values() if name]
    found = find(path, [f"{kind}{packed}" for kind in _KINDS for packed in ("", ".gz")])
    read_part, parse = _reader(path, found), partial(row_of, columns=columns)
    yield from chained(found, lambda part: refuse_lists_as_text(read_part(part, names, parse), str(part)), path)


def _reader(path: Path, found: list[Path]) -> Callable[[Path, list[str], Parse], Rows]:
    """How files are read, which must be of one kind."""
    kinds = {kind for part in found for kind in _KINDS if part.name.lower().removesuffix(".gz").endswith(kind)}
    if len(kinds) != 1:
        has = f"holds {' and '.join(sorted(kinds))} files" if kinds else "is no file of these kinds"
        raise UserError(f"{path} {has}; `path` must name files of one kind: {', '.join(_KINDS)}.")
    return _KINDS[kinds.pop()]


def _parquet(path: Path, names: list[str], parse: Parse) -> Rows:
    return parsed_records(of_parquet(path, partial(require, path, names)), parse)


def _separated(path: Path, names: list[str], parse: Parse, delimiter: str) -> Rows:
    return parsed_records(of_separated(path, names, delimiter), parse)


def _jsonl(path: Path, names: list[str], parse: Parse) -> Rows:
    def row(record: dict) -> Row:
        if missing := [name for name in names if name not in record]:
            raise Malformed(f"has no key {missing[0]!r}; it has {', '.join(record) or 'none'}")
        return parse(record)

    return objects(path, row)


_KINDS: dict[str, Callable[[Path, list[str], Parse], Rows]] = {
    ".parquet": _parquet,
    ".csv": partial(_separated, delimiter=","),
    ".tsv": partial(_separated, delimiter="\t"),
    ".jsonl": _jsonl,
}
