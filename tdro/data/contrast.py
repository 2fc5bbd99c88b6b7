"""Whether a task has what learning needs: two queries, and a passage that does not answer one of them.

The stage that leaves too little says so by the task's name, after it has written its files, which show what there is.
Preparation warns of a single query and refuses what can have no negative; deduplication, which ends each task's way to
the plan, refuses a single row. Otherwise the plan, which waits for all tasks, would stop hours later.
"""

import logging
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from tdro.artifacts.files import count_rows, read_batches, read_counts
from tdro.artifacts.schemas import QUERIES
from tdro.errors import UserError

log = logging.getLogger(__name__)

#: Queries at a time.
_ROWS = 65_536


def check_prepared(name: str, folder: Path) -> None:
    """Check a task's ``corpus.parquet`` and ``queries.parquet``.

    Raises:
        UserError: when every passage answers each of several queries.
    """
    queries, passages = folder / "queries.parquet", count_rows(folder / "corpus.parquet")
    total = count_rows(queries)
    if total < 2:
        log.warning("task %s: %s", name, _too_few(queries))
        return
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
    if count_rows(train) < 2:
        raise UserError(f"task {train.parent.name}: {_too_few(train)}.")


def _too_few(file: Path) -> str:
    """What is said of a file with one query or none."""
    return (
        f"{count_rows(file)} training query left in {file.name}, at least 2 are needed{_counted(file)}; give it more "
        "rows or leave the task out"
    )


def _counted(file: Path) -> str:
    """What the stage counted, which tells where the rows went."""
    counts = ", ".join(f"{name}: {number}" for name, number in read_counts(file).items() if number)
    return f" ({counts})" if counts else ""
