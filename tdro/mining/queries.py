"""Queries that want hard negatives: checked against the corpus that they point into."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tdro.artifacts.files import count_rows, read_rows, read_table
from tdro.artifacts.lists import Lists
from tdro.artifacts.schemas import QUERIES
from tdro.errors import UserError

_POSITIVES = pa.schema([QUERIES.field("positives")])
_ID = pa.schema([QUERIES.field("query_id")])


def read_positives(queries: Path, corpus: Path) -> pa.Table:
    """The column ``positives`` of the queries of a task; every one has a positive, and the corpus has all positives.

    The texts stay on disk: who needs them reads them piece by piece.

    Raises:
        UserError: when a file is empty, or a query has no positive or one that the corpus lacks.
    """
    table, passages = read_table(queries, _POSITIVES), count_rows(corpus)
    for path, found in ((corpus, passages), (queries, len(table))):
        if found == 0:
            raise UserError(f"{path} has no rows; mining needs at least one: check what the task's source yields.")
    positives = Lists.from_arrow(table["positives"])
    if not positives.lengths.all():
        query = _name(queries, int(np.argmin(positives.lengths)))
        raise UserError(f"query {query!r} of {queries} has no positive; give it one or remove it.")
    rows = positives.values
    strays = np.flatnonzero((rows < 0) | (rows >= passages))
    if len(strays):
        query = _name(queries, int(positives.owners()[strays[0]]))
        raise UserError(
            f"query {query!r} of {queries} has positive {rows[strays[0]]}, "
            f"but {corpus} has rows 0 to {passages - 1}; prepare both files together."
        )
    return table


def _name(queries: Path, row: int) -> str:
    return read_rows(queries, _ID, [row])[row]["query_id"]
