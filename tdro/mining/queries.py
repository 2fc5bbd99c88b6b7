"""Queries that want hard negatives: read, and checked against the corpus that they point into."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tdro.artifacts.files import count_rows, read_table
from tdro.artifacts.schemas import QUERIES
from tdro.errors import UserError


def read_asked(queries: Path, corpus: Path) -> pa.Table:
    """The queries of a task; every one has a positive, and the corpus has all positives.

    Raises:
        UserError: when a file is empty, or a query has no positive or one that the corpus lacks.
    """
    asked, passages = read_table(queries, QUERIES), count_rows(corpus)
    for path, rows in ((corpus, passages), (queries, len(asked))):
        if rows == 0:
            raise UserError(f"{path} has no rows; mining needs at least one: check what the task's source yields.")
    lengths = positive_counts(asked)
    if not lengths.all():
        query = asked["query_id"][int(np.argmin(lengths))].as_py()
        raise UserError(f"query {query!r} of {queries} has no positive; give it one or remove it.")
    rows = flat_positives(asked)
    strays = np.flatnonzero((rows < 0) | (rows >= passages))
    if len(strays):
        query = asked["query_id"][int(np.searchsorted(np.cumsum(lengths), strays[0], side="right"))].as_py()
        raise UserError(
            f"query {query!r} of {queries} has positive {rows[strays[0]]}, "
            f"but {corpus} has rows 0 to {passages - 1}; prepare both files together."
        )
    return asked


def check_candidates(candidates: Path, asked: pa.Table) -> None:
    """Raise UserError when a file of candidates has not one row a query."""
    if count_rows(candidates) != len(asked):
        raise UserError(
            f"{candidates} has candidates of {count_rows(candidates)} queries, not of {len(asked)}; search again."
        )


def positive_counts(asked: pa.Table) -> np.ndarray:
    """Number of positives of each query, shape (queries,)."""
    return pc.fill_null(pc.list_value_length(asked["positives"]), 0).to_numpy()


def flat_positives(asked: pa.Table) -> np.ndarray:
    """Positives of all queries, one query after the other, int64."""
    return pc.list_flatten(asked["positives"]).to_numpy().astype(np.int64)
