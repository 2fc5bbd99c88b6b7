"""What a plan draws more than once, and what another training has drawn before."""

import logging
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

log = logging.getLogger(__name__)

#: What is counted of each task, as the log and the report name it.
ROWS, AGAIN, BASELINE, NEGATIVES = "rows drawn", "drawn again", "drawn by the baseline, too", "with a negative twice"


def drawn_queries(plan: pa.Table) -> dict[str, np.ndarray]:
    """The distinct queries that a plan draws, rows of each task's queries."""
    return {task: np.unique(_of_task(plan, task)["query"].to_numpy()) for task in plan["task"].unique().to_pylist()}


def count_repetitions(plan: pa.Table, baseline: pa.Table | None = None) -> dict[str, dict[str, int]]:
    """How many rows each task has in a plan, and how many of them repeat something.

    Args:
        plan: Table of schema ``PLAN``.
        baseline: The plan of the baseline, for what it has drawn, too; None does not count that.

    Returns:
        By task: rows; those of a query that an earlier row has; those of a query that the baseline has drawn; those
        that name a negative twice.
    """
    known = drawn_queries(baseline) if baseline else {}
    found = {}
    for task in sorted(plan["task"].unique().to_pylist()):
        rows = _of_task(plan, task)
        queries = rows["query"].to_numpy()
        found[task] = {ROWS: len(queries), AGAIN: len(queries) - len(np.unique(queries))}
        if baseline:
            found[task][BASELINE] = int(np.isin(queries, known.get(task, [])).sum())
        negatives = rows["negatives"].combine_chunks().flatten().to_numpy().reshape(len(queries), -1)
        found[task][NEGATIVES] = int((np.diff(np.sort(negatives, axis=1), axis=1) == 0).any(axis=1).sum())
    return found


def report_repetitions(counts: Mapping[str, Mapping[str, int]], sizes: Mapping[str, int], batch_size: int) -> None:
    """Log the counts of every task, and warn where rows repeat a negative or a batch repeats rows.

    Args:
        counts: As :func:`count_repetitions` has them.
        sizes: Training rows of each task.
        batch_size: Most rows of one task in one batch.
    """
    for task, counted in counts.items():
        listed = ", ".join(f"{number} {name}" for name, number in counted.items() if number)
        log.info("%s: %s; %.2f passes over its %d rows", task, listed, counted[ROWS] / sizes[task], sizes[task])
        if counted[NEGATIVES]:
            log.warning(
                "%s: %d of %d rows name a negative twice, as they have fewer than `negatives` asks for",
                *(task, counted[NEGATIVES], counted[ROWS]),
            )
        if batch_size > sizes[task]:
            log.warning("%s: a batch of %d rows holds its %d rows more than once", task, batch_size, sizes[task])


def _of_task(plan: pa.Table, task: str) -> pa.Table:
    return plan.filter(pc.equal(plan["task"], task))
