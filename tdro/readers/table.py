"""Parquet, CSV, TSV or JSON lines with columns or templates of them that the registry names, read as a stream.

The path is a file, a folder of parts or a pattern (``data/train-*.parquet``, ``data/**/*.csv``); the parts are of one
kind and are read in the order of their names. A column holds strings, lists of strings, or objects with a ``text`` and
perhaps a ``title`` and a ``docid``; null is an empty string. CSV has a header line and may quote (RFC 4180); TSV has a
header line and no quoting: a tab always ends a cell, a line always a row.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tdro.config.nearest import hint
from tdro.config.registry import Columns
from tdro.config.templates import columns_of
from tdro.errors import UserError
from tdro.readers.base import BadRow, Row, Split
from tdro.readers.cells import require, row_of
from tdro.readers.files import Malformed, objects
from tdro.readers.listtext import refuse_lists_as_text
from tdro.readers.parts import chained, find
from tdro.readers.records import of_parquet, parsed_records
from tdro.readers.separated import of_separated
from tdro.readers.where import ALL, Where

#: Makes a row of a record, None of one that is not taken.
Parse = Callable[[dict], Row | None]
Rows = Iterator[Row | BadRow | None]


def read(path: Path, split: Split, columns: Columns, where: Where = ALL) -> Rows:
    """Yield a row a row of the table, None for one that ``where`` does not take; the files are one split.

    Raises:
        UserError: when there is no file, when one cannot be read or lacks a column, and when all are empty.
    """
    texts = columns_of(columns.model_dump().values())
    found = find(path, [f"{kind}{packed}" for kind in _KINDS for packed in ("", ".gz")])
    read_part = _reader(path, found)
    # A line of JSON need not have the keys that are compared.
    names = texts if read_part is _jsonl else [*dict.fromkeys([*texts, *where.columns])]

    def parse(record: dict) -> Row | None:
        if not where.takes(record):
            return None
        if missing := [name for name in texts if name not in record]:
            raise Malformed(
                f"has no key {missing[0]!r}{hint(missing[0], record)}; it has {', '.join(record) or 'none'}"
            )
        return row_of(record, columns)

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
    return objects(path, parse)


_KINDS: dict[str, Callable[[Path, list[str], Parse], Rows]] = {
    ".parquet": _parquet,
    ".csv": partial(_separated, delimiter=","),
    ".tsv": partial(_separated, delimiter="\t"),
    ".jsonl": _jsonl,
}
