"""Which queries of a task choices are made on: ratios, tasks to drop, a share between two models.

A choice that looks at a reported benchmark has seen what it is judged by. So a task may set queries apart that are
neither trained on nor reported. Unlike held-out queries they stay among the task's queries, and their passages in its
corpus, so that hard negatives are mined for them as for the rows that are trained on.
"""

import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from tdro.artifacts.files import read_rows, write_table
from tdro.artifacts.lists import Lists
from tdro.artifacts.schemas import DEV_QUERIES, QUERIES
from tdro.data.heldout import hold_out
from tdro.errors import UserError


def set_apart(
    name: str, wanted: int, seed: int, positives: Lists, usable: np.ndarray, counts: Counter[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Split the queries that are left to train on by passage, as :func:`tdro.data.heldout.hold_out` does.

    A query that shares a passage with a dev query is neither trained on nor a dev query; else the loss on dev queries
    would reward a model that knows their passages by heart. It draws by a generator of its own: what else is drawn of
    a task does not depend on ``wanted``.

    Args:
        name: The task's name.
        wanted: Number of dev queries.
        seed: Decides which.
        positives: Passages' rows of each query of the source.
        usable: The queries to split, rising.
        counts: Gets the number of dev queries, and of queries dropped for them, where any are wanted.

    Returns:
        The queries to train on and the dev queries, both rising.

    Raises:
        UserError: when there are not as many, or nothing is left to train on.
    """
    dropped: Counter[str] = Counter()
    random = np.random.default_rng([seed, zlib.crc32(name.encode()), zlib.crc32(b"dev")])
    split = hold_out(positives, usable, wanted, random, dropped)
    if not wanted:
        return split.training, split.held_out
    counts["dev queries"], counts["answered by the passage of a dev query"] = len(split.held_out), dropped.total()
    if len(split.held_out) < wanted or not len(split.training):
        raise UserError(
            f"task {name}: setting {wanted} dev queries apart leaves {len(split.training)} to train on and finds "
            f"{len(split.held_out)} whose passages answer no other of them; lower `dev`."
        )
    return split.training, np.sort(split.held_out)


def write_dev_queries(folder: Path, rows: np.ndarray) -> None:
    """Write ``dev/queries.parquet`` of a task.

    Args:
        folder: The task's, with its ``queries.parquet``.
        rows: Rows of that file, rising.
    """
    found = read_rows(folder / "queries.parquet", QUERIES, rows.tolist())
    table = pa.Table.from_pylist([{**found[row], "row": row} for row in rows.tolist()], DEV_QUERIES)
    write_table(folder / "dev" / "queries.parquet", table, DEV_QUERIES)
