"""Whether a task has what learning needs: two queries, and a passage that does not answer one of them.

The stage that leaves too little says so by the task's name, after it has written its files, which show what there is.
Otherwise the plan, which waits for all tasks, would stop hours later.
"""

import logging
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from tdro.artifacts import QUERIES, count_rows, read_batches, read_counts
from tdro.errors import UserError

log = logging.getLogger(__name__)

#: Queries at a time.
_ROWS = 65_536


def check_prepared(name: str, folder: Path) -> None:
    """Check a task's ``corpus.parquet`` and ``queries.parquet``.

    Raises:
        UserError: when there is one query, or when every passage answers every query.
    """
    queries, passages = folder / "queries.parquet", count_rows(folder / "corpus.parquet")
    total = _enough(f"task {name}", queries)
    lengths = (pc.list_value_length(batch["positives"]).to_numpy() for batch in read_batches(queries, QUERIES, _ROWS))
    alone = sum(int(np.count_nonzero(found >= passages)) for found in lengths)
    if alone == total:
        shared = "the only passage answers" if passages == 1 else f"all {passages} passages answer"
        raise UserError(
            f"task {name}: {shared} each of its {total} queries, so that none can be a negative{_counted(queries)}; "
            "give it rows with other passages or leave the task out."
        )
    if alone:
        log.warning("task %s: every passage answers %d of its queries, which can have no negative", name, alone)


def check_training_rows(train: Path) -> None:
    """Check a task's ``train.parquet``, whose folder has the task's name.

    Raises:
        UserError: when there is one row.
    """
    _enough(f"task {train.parent.name}", train)


def _enough(task: str, file: Path) -> int:
    """Rows of a file of queries."""
    rows = count_rows(file)
    if rows < 2:
        raise UserError(
            f"{task}: {rows} training {'query' if rows == 1 else 'queries'} left in {file}, at least 2 are needed"
            f"{_counted(file)}; give it more rows or leave the task out."
        )
    return rows


def _counted(file: Path) -> str:
    """What the stage counted, which tells where the rows went."""
    counts = ", ".join(f"{name}: {number}" for name, number in read_counts(file).items() if number)
    return f" ({counts})" if counts else ""
