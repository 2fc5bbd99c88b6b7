"""The plan: every row of every batch, decided before any model is loaded.

A plan makes the order of the data independent of the number of processes, lets a training resume
at any step, and turns a mixture into something that can be counted. Homogeneous plans hold one
task a step (baseline, retraining), mixed plans all tasks in every step (tDRO).
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.layout import Layout
from tdro.artifacts.lists import Lists
from tdro.artifacts.schemas import PLAN, TRAIN
from tdro.config.commands import PlanJob
from tdro.errors import UserError
from tdro.mixtures.bags import in_bag
from tdro.mixtures.draws import Draws, TrainingRows
from tdro.mixtures.repetition import count_repetitions, drawn_queries, report_repetitions
from tdro.mixtures.weights import read_weights

Arrangement = Literal["homogeneous", "mixed"]


def plan_training(weights: Path, results: Path, output: Path, job: PlanJob, baseline: Path | None = None) -> None:
    """Write the plan of a training on a mixture, or of tDRO, and say what it repeats.

    Args:
        weights: Weights JSON.
        results: Folder with the tasks' ``data/{task}/train.parquet``, or ``dev.parquet`` for ``rows: dev``.
        output: ``plan.parquet``; its metadata counts what it repeats (:mod:`tdro.mixtures.repetition`).
        job: Shape, seed, and which rows: all or some (``bag``), whether those that the baseline has drawn come last
            (``fresh``), or dev rows.
        baseline: Plan of the baseline; needed for fresh rows.

    Raises:
        UserError: when a weighted task is unknown or has too few rows, or fresh rows are asked for without a baseline.
    """
    if job.rows == "fresh" and baseline is None:
        raise UserError("`rows: fresh` means other rows than the baseline's; name its plan with --baseline.")
    shares = read_weights(weights).weights
    file = "dev.parquet" if job.rows == "dev" else "train.parquet"
    names = (task for task, weight in shares.items() if weight > 0)
    chosen = partial(in_bag, bag=job.bag, seed=job.seed) if job.bag else None
    tasks = TrainingFiles(results, names, file, chosen)
    before = read_table(baseline, PLAN) if baseline else None
    drawn = drawn_queries(before) if job.rows == "fresh" else None
    plan = make_plan(tasks, shares, drawn=drawn, **job.model_dump(exclude={"rows", "bag"}))
    counts = count_repetitions(plan, before)
    report_repetitions(counts, tasks.sizes, _most_rows(plan))
    write_table(output, plan, PLAN, counts)


def make_plan(
    tasks: Mapping[str, pa.Table],
    weights: Mapping[str, float],
    *,
    layout: Arrangement,
    steps: int,
    batch_size: int,
    negatives: int,
    seed: int,
    drawn: Mapping[str, np.ndarray] | None = None,
) -> pa.Table:
    """Draw the rows of ``steps`` batches.

    Steps (homogeneous) or slots (mixed) go to tasks by systematic sampling: a task gets its share
    of them, rounded down or up at random, so that expectations are exact and chance is small. Each
    task's rows come in a new random order on every pass, so no row comes twice before every row has come
    once. Two rows of a batch may share a passage; the loss sees to it that such a passage is no negative
    (:mod:`tdro.training.masks`).

    Args:
        tasks: Training rows by task, tables of schema ``TRAIN``; one is asked for at a time.
        weights: Share of each task; tasks without one are left out.
        layout: ``homogeneous`` or ``mixed``.
        steps: Number of batches.
        batch_size: Rows a batch.
        negatives: Hard negatives a row.
        seed: The same seed gives the same plan.
        drawn: Queries of each task that another training has drawn. Rows of other queries come first, each once, before
            the passes over all rows begin. None begins with those passes; their order is that of every plan of a seed.

    Returns:
        Table of schema ``PLAN`` with ``steps * batch_size`` rows, ordered by step and slot.

    Raises:
        UserError: when a weighted task is unknown or has too few rows.
    """
    names = [task for task, weight in weights.items() if weight > 0]
    shares = np.array([weights[task] for task in names])
    rng = np.random.default_rng([seed, zlib.crc32(layout.encode())])
    task_of = _tasks_of_rows(layout, shares / shares.sum(), steps, batch_size, rng)
    columns = {name: np.empty(len(task_of), np.int32) for name in ("query", "positive")}
    columns["negatives"] = np.empty((len(task_of), negatives), np.int32)
    for number, task in enumerate(names):
        places = np.flatnonzero(task_of == number)
        before = drawn.get(task) if drawn else None
        draws = Draws(_rows(tasks, task), seed=[seed, zlib.crc32(task.encode())], apart_from=before)
        for column, values in draws.take(len(places), negatives)._asdict().items():
            columns[column][places] = values
    return _table(columns, np.array(names)[task_of], batch_size, rng)


class TrainingFiles(Mapping[str, pa.Table]):
    """Training rows of the named tasks, or their dev rows (``dev.parquet``), tables of schema ``TRAIN``.

    Each is read when it is asked for, and not kept.

    Args:
        results: Folder of the results.
        names: The tasks.
        file: Name of the file of each.
        chosen: Makes of a task and its rows those that count; None takes all.

    Attributes:
        sizes: How many rows count of each task that has been read.

    Raises:
        UserError: for a name without training rows below ``results``.
    """

    def __init__(
        self,
        results: str | Path,
        names: Iterable[str],
        file: str = "train.parquet",
        chosen: Callable[[str, pa.Table], pa.Table] | None = None,
    ) -> None:
        self._chosen, self.sizes = chosen, {}
        self._files = {name: Path(Layout(results).task(name, file)) for name in names}
        for name, path in self._files.items():
            if not path.is_file():
                raise UserError(
                    f"the weights name task {name!r}, but there is no {path}; correct the name or prepare the task."
                )

    def __getitem__(self, name: str) -> pa.Table:
        rows = read_table(self._files[name], TRAIN)
        rows = self._chosen(name, rows) if self._chosen else rows
        self.sizes[name] = len(rows)
        return rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _rows(tasks: Mapping[str, pa.Table], task: str) -> TrainingRows:
    try:
        rows = tasks[task]
    except KeyError:
        known = ", ".join(tasks)
        raise UserError(f"the weights name task {task!r}, which has no training data; known are {known}.") from None
    if rows.num_rows < 2:
        raise UserError(f"task {task!r} has {rows.num_rows} rows to draw from; at least 2 are needed.")
    if rows["query"].null_count or pc.min(pc.fill_null(pc.list_value_length(rows["positives"]), 0)).as_py() < 1:
        raise UserError(f"task {task!r} has a training row without query or positive; make its train.parquet anew.")
    return TrainingRows(task, rows)


def _tasks_of_rows(
    layout: Arrangement, shares: np.ndarray, steps: int, batch_size: int, rng: np.random.Generator
) -> np.ndarray:
    """Number of the task of each row, step by step, shape (steps * batch_size,)."""
    numbers = np.arange(len(shares))
    if layout == "mixed":
        return np.concatenate([np.repeat(numbers, systematic(shares, batch_size, rng)) for _ in range(steps)])
    return np.repeat(rng.permutation(np.repeat(numbers, systematic(shares, steps, rng))), batch_size)


def systematic(shares: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Split ``total`` by ``shares``: each part is its exact share rounded down or up, at random."""
    order = rng.permutation(len(shares))
    ends = np.cumsum(shares[order]) * total
    ends[-1] = total
    reached = np.floor(ends + rng.random()).astype(int)
    reached[-1] = total
    counts = np.empty(len(shares), int)
    counts[order] = np.diff(reached, prepend=0)
    return counts


def _table(columns: Mapping[str, np.ndarray], tasks: np.ndarray, batch_size: int, rng: np.random.Generator) -> pa.Table:
    """The plan, the rows of each step in random slots."""
    steps = np.repeat(np.arange(len(tasks) // batch_size, dtype=np.int32), batch_size)
    order = np.lexsort((rng.random(len(tasks)), steps))
    negatives = columns["negatives"][order]
    content = {
        "step": steps,
        "slot": np.tile(np.arange(batch_size, dtype=np.int32), len(tasks) // batch_size),
        "task": tasks[order],
        "query": columns["query"][order],
        "positive": columns["positive"][order],
        "negatives": Lists.of(negatives.reshape(-1), np.full(len(tasks), negatives.shape[1])).arrow(),
    }
    return pa.table(content, schema=PLAN)


def _most_rows(plan: pa.Table) -> int:
    """Most rows of one task in one batch."""
    return pc.max(plan.group_by(["step", "task"]).aggregate([("slot", "count")])["slot_count"]).as_py()
