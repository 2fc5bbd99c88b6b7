"""Queries that want hard negatives: read, and checked against the corpus that they point into."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tdro.artifacts.files import count_rows, read_table
from tdro.artifacts.lists import Lists
from tdro.artifacts.schemas import QUERIES
from tdro.errors import UserError


def read_asked(queries: Path, corpus: Path) -> pa.Table:
    """The queries of a task; every one has a positive, and the corpus has all positives.

    Raises:
        UserError: when a file is empty, or a query has no positive or one that the corpus lacks.
    """
    asked, passages = read_table(queries, QUERIES), count_rows(corpus)
    for path, found in ((corpus, passages), (queries, len(asked))):
        if found == 0:
            raise UserError(f"{path} has no rows; mining needs at least one: check what the task's source yields.")
    positives = Lists.from_arrow(asked["positives"])
    if not positives.lengths.all():
        query = asked["query_id"][int(np.argmin(positives.lengths))].as_py()
        raise UserError(f"query {query!r} of {queries} has no positive; give it one or remove it.")
    rows = positives.values
    strays = np.flatnonzero((rows < 0) | (rows >= passages))
    if len(strays):
        query = asked["query_id"][int(positives.owners()[strays[0]])].as_py()
        raise UserError(
            f"query {query!r} of {queries} has positive {rows[strays[0]]}, "
            f"but {corpus} has rows 0 to {passages - 1}; prepare both files together."
        )
    return asked
