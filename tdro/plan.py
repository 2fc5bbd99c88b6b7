"""The plan: every row of every batch, decided before any model is loaded.

A plan makes the order of the data independent of the number of processes, lets a training resume
at any step, and turns a mixture into something that can be counted. Homogeneous plans hold one
task a step (baseline, retraining), mixed plans all tasks in every step (tDRO).
"""

import logging
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tdro.artifacts import PLAN, TRAIN, read_table
from tdro.errors import UserError
from tdro.layout import Layout

log = logging.getLogger(__name__)

Arrangement = Literal["homogeneous", "mixed"]


def make_plan(
    tasks: Mapping[str, pa.Table],
    weights: Mapping[str, float],
    *,
    layout: Arrangement,
    steps: int,
    batch_size: int,
    negatives: int,
    seed: int,
) -> pa.Table:
    """Draw the rows of ``steps`` batches.

    Steps (homogeneous) or slots (mixed) go to tasks by systematic sampling: a task gets its share
    of them, rounded down or up at random, so that expectations are exact and chance is small. Each
    task's rows come in a new random order on every pass. In a homogeneous batch no passage stands
    beside a query that it is also an answer to, as long as the task has rows left to avoid it.

    Args:
        tasks: Training rows by task, tables of schema ``TRAIN``.
        weights: Share of each task; tasks without one are left out.
        layout: ``homogeneous`` or ``mixed``.
        steps: Number of batches.
        batch_size: Rows a batch.
        negatives: Hard negatives a row.
        seed: The same seed gives the same plan.

    Returns:
        Table of schema ``PLAN`` with ``steps * batch_size`` rows, ordered by step and slot.

    Raises:
        UserError: when a weighted task is unknown or has too few rows.
    """
    streams = {
        task: _Stream(task, _rows(tasks, task), negatives, seed, separate=layout == "homogeneous")
        for task, weight in weights.items()
        if weight > 0
    }
    names, shares = list(streams), np.array([weights[task] for task in streams])
    rng = np.random.default_rng([seed, zlib.crc32(layout.encode())])
    plan = _Columns()
    for step, counts in enumerate(_allot(layout, shares / shares.sum(), steps, batch_size, rng)):
        rows = [(names[i], row) for i in np.flatnonzero(counts) for row in streams[names[i]].take(int(counts[i]))]
        for slot, at in enumerate(rng.permutation(len(rows))):
            plan.add(step, slot, *rows[at])
    _report_conflicts(streams)
    return plan.table()


def read_tasks(results: str | Path, names: Iterable[str]) -> dict[str, pa.Table]:
    """Training rows of the named tasks, tables of schema ``TRAIN``.

    Raises:
        UserError: for a name without training rows below ``results``.
    """
    files = {name: Path(Layout(results).task(name, "train.parquet")) for name in names}
    for name, file in files.items():
        if not file.is_file():
            raise UserError(
                f"the weights name task {name!r}, but there is no {file}; correct the name or prepare the task."
            )
    return {name: read_table(file, TRAIN) for name, file in files.items()}


def _rows(tasks: Mapping[str, pa.Table], task: str) -> pa.Table:
    if task not in tasks:
        raise UserError(f"the weights name task {task!r}, which has no training data; known are {', '.join(tasks)}.")
    if tasks[task].num_rows < 2:
        raise UserError(f"task {task!r} has {tasks[task].num_rows} training rows; at least 2 are needed.")
    rows = tasks[task]
    if rows["query"].null_count or pc.min(pc.fill_null(pc.list_value_length(rows["positives"]), 0)).as_py() < 1:
        raise UserError(f"task {task!r} has a training row without query or positive; make its train.parquet anew.")
    return rows


def _allot(
    layout: Arrangement, shares: np.ndarray, steps: int, batch_size: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Rows of each task in each step, arrays of shape (k,)."""
    if layout == "mixed":
        for _ in range(steps):
            yield _systematic(shares, batch_size, rng)
    else:
        task_of_step = rng.permutation(np.repeat(np.arange(len(shares)), _systematic(shares, steps, rng)))
        for task in task_of_step:
            yield batch_size * (np.arange(len(shares)) == task)


def _systematic(shares: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Split ``total`` by ``shares``: each part is its exact share rounded down or up, at random."""
    order = rng.permutation(len(shares))
    ends = np.cumsum(shares[order]) * total
    ends[-1] = total
    reached = np.floor(ends + rng.random()).astype(int)
    reached[-1] = total
    counts = np.empty(len(shares), int)
    counts[order] = np.diff(reached, prepend=0)
    return counts


class _Stream:
    """Endless rows of one task: each pass over them in a new random order.

    ``separate`` keeps the rows of a batch from contradicting each other, which matters where they
    are each other's negatives.
    """

    def __init__(self, task: str, rows: pa.Table, negatives: int, seed: int, *, separate: bool) -> None:
        self.rng = np.random.default_rng([seed, zlib.crc32(task.encode())])
        self.queries = rows["query"].to_numpy()
        self.positives, self.candidates = _Lists(rows["positives"]), _Lists(rows["negatives"])
        self.negatives, self.separate = negatives, separate
        self.order = self._orders()
        self.deferred: deque[int] = deque()
        self.conflicts = 0

    def take(self, count: int) -> list[tuple[int, int, list[int]]]:
        """The next ``count`` rows: query, positive, negatives."""
        if not self.separate:
            return [self._row(self._next(), set()) for _ in range(count)]
        return self._take_separate(count)

    def _take_separate(self, count: int) -> list[tuple[int, int, list[int]]]:
        batch = _Batch()
        skipped: deque[int] = deque()
        for _ in range(count + len(self.deferred) + 2 * len(self.queries)):
            if len(batch.rows) == count:
                break
            at = self._next()
            if not batch.add(self._row(at, batch.answers), set(self.positives[at])):
                skipped.append(at)
        while len(batch.rows) < count:
            at = skipped.popleft() if skipped else self._next()
            batch.add(self._row(at, set()), set(self.positives[at]), force=True)
            self.conflicts += 1
        self.deferred.extendleft(reversed(skipped))
        return batch.rows

    def _next(self) -> int:
        return self.deferred.popleft() if self.deferred else next(self.order)

    def _orders(self) -> Iterator[int]:
        while True:
            yield from self.rng.permutation(len(self.queries)).tolist()

    def _row(self, at: int, avoid: set[int]) -> tuple[int, int, list[int]]:
        positives = self.positives[at]
        positive = int(positives[self.rng.integers(len(positives))])
        return int(self.queries[at]), positive, self._choose(self.candidates[at], set(positives), avoid)

    def _choose(self, candidates: list[int], own: set[int], avoid: set[int]) -> list[int]:
        """Distinct hard negatives where there are enough; then they repeat; else other rows' positives."""
        if not self.negatives:
            return []
        allowed = [c for c in candidates if c not in avoid] or list(candidates) or self._others(own)
        chosen: list[int] = []
        while len(chosen) < self.negatives:
            missing = self.negatives - len(chosen)
            chosen += [allowed[i] for i in self.rng.permutation(len(allowed))[:missing]]
        return chosen

    def _others(self, own: set[int]) -> list[int]:
        for at in self.rng.permutation(len(self.queries)):
            others = [p for p in self.positives[at] if p not in own]
            if others:
                return others
        raise UserError("a task has one passage only, so its rows can have no negatives; leave the task out.")


class _Batch:
    """Rows of one task in one batch, and what a further row must not contradict."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, list[int]]] = []
        self.answers: set[int] = set()
        self._queries: set[int] = set()
        self._passages: set[int] = set()

    def add(self, row: tuple[int, int, list[int]], answers: set[int], *, force: bool = False) -> bool:
        """Add a row unless a passage of the batch answers its query, or one of its passages another's."""
        query, positive, negatives = row
        passages = {positive, *negatives}
        clash = query in self._queries or answers & self._passages or passages & self.answers
        if clash and not force:
            return False
        self.rows.append(row)
        self._queries.add(query)
        self._passages |= passages
        self.answers |= answers
        return True


class _Columns:
    """The growing columns of a plan."""

    def __init__(self) -> None:
        self._values: dict[str, list] = {name: [] for name in PLAN.names}

    def add(self, step: int, slot: int, task: str, row: tuple[int, int, list[int]]) -> None:
        for column, value in zip(self._values.values(), (step, slot, task, *row), strict=True):
            column.append(value)

    def table(self) -> pa.Table:
        return pa.table(self._values, schema=PLAN)


class _Lists:
    """A list column read element by element, without making a Python object of every number."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        lists = column.combine_chunks()
        self._offsets, self._values = lists.offsets.to_numpy(), lists.values.to_numpy()

    def __getitem__(self, at: int) -> list[int]:
        return self._values[self._offsets[at] : self._offsets[at + 1]].tolist()


def _report_conflicts(streams: Mapping[str, _Stream]) -> None:
    for task, stream in streams.items():
        if stream.conflicts:
            log.warning(
                "%s: %d rows share a passage or query with another row of their batch, as the task is too small "
                "to avoid it; such passages count as negatives of each other",
                task,
                stream.conflicts,
            )
