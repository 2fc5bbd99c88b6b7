"""The first records of local files as they are, before anybody has said which column is what."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from tdro.errors import UserError
from tdro.readers.base import BadRow
from tdro.readers.files import json_value, read_lines
from tdro.readers.parts import find
from tdro.readers.records import of_parquet
from tdro.readers.separated import of_separated

#: Endings of the files that can be looked into, each also with `.gz` but the first.
KINDS = (".parquet", ".csv", ".tsv", ".jsonl")
_ENDINGS = [*KINDS, *(f"{kind}.gz" for kind in KINDS[1:])]


def kind_of_file(path: Path) -> str | None:
    """The ending that says what a file is; None for another."""
    name = path.name.lower().removesuffix(".gz")
    return next((kind for kind in KINDS if name.endswith(kind)), None)


def first_records(path: Path, most: int) -> list[Any]:
    """The first records of a file, of a folder or of what a pattern matches.

    Args:
        path: A path as a source has it.
        most: Records at most.

    Returns:
        Of tables objects by their columns; of JSON lines whatever value a line is. Malformed ones are left out.

    Raises:
        UserError: where there is no file, or it cannot be read.
    """
    kind_of(path)
    records = (record for part in find(path, _ENDINGS) for record in _records(part))
    return list(islice(records, most))


def kind_of(path: Path) -> str:
    """The ending that says what the files of a path are, of several the first.

    Raises:
        UserError: where there is none, or it is another.
    """
    first = find(path, _ENDINGS)[0]
    if (kind := kind_of_file(first)) is None:
        raise UserError(f"{first} is no file of these kinds: {', '.join(_ENDINGS)}.")
    return kind


def _records(path: Path) -> Iterator[Any]:
    kind = kind_of_file(path)
    if kind == ".jsonl":
        items = read_lines(path, lambda number, line: json_value(line))
        yield from (item for item in items if not isinstance(item, BadRow))
    elif kind:
        placed = (
            of_parquet(path, list) if kind == ".parquet" else of_separated(path, [], "," if kind == ".csv" else "\t")
        )
        yield from (record for _, record in placed if isinstance(record, dict))


def columns_of(records: list[Any]) -> list[str]:
    """The columns, or keys, that any of the records has."""
    return list(dict.fromkeys(str(key) for record in records if isinstance(record, dict) for key in record))


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing: null, an empty text or list, or no number."""
    return value is None or value in ("", b"", []) or (isinstance(value, float) and value != value)
