"""Some rows of a large Parquet file; what is not shown is not read, but for the row groups around it."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from tdro.artifacts.files import count_rows, read_batches
from tdro.errors import UserError
from tdro.formats import count
from tdro.report.show.view import Asked

#: Rows that a view shows unless it is asked for more.
USUAL = 10


def rows(path: Path, schema: pa.Schema, asked: Asked, usual: int = USUAL) -> dict[int, dict[str, Any]]:
    """The rows that were asked for by their number, as dictionaries.

    Args:
        path: A Parquet file.
        schema: Columns to read.
        asked: How many, or which.
        usual: How many where nothing was asked for.

    Raises:
        UserError: for a row that the file does not have, and as :func:`tdro.artifacts.files.read_table`.
    """
    first, end = wanted(path, asked, usual)
    found: list[dict[str, Any]] = []
    for part in read_batches(path, schema, max(1, end - first), first, end):
        found += part.to_pylist()
    return dict(enumerate(found, start=first))


def wanted(path: Path, asked: Asked, usual: int = USUAL) -> tuple[int, int]:
    """The first row that is shown, and the one behind the last.

    Raises:
        UserError: for a row that the file does not have.
    """
    there = count_rows(path)
    if asked.row is None:
        return 0, min(there, usual if asked.rows is None else asked.rows)
    if asked.row >= there:
        last = f"; its last row is {there - 1}" if there else ""
        raise UserError(f"{path} has {count(there)} rows and no row {asked.row}{last}.")
    return asked.row, asked.row + 1


def said(path: Path, asked: Asked, shown: int, noun: str = "rows") -> str:
    """How much of the file is shown, and how to see more."""
    there = count_rows(path)
    if asked.row is not None:
        return f"row {asked.row} of {count(there)}"
    if shown >= there:
        return f"all {count(there)} {noun}"
    return f"the first {count(shown)} of {count(there)} {noun}; --rows N shows more of them, --row K one"
