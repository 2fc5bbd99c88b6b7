"""What a cross-encoder said of the rows of a plan: its scores, looked up in the training rows of the tasks."""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from tdro.artifacts.files import read_batches
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import SCORED_TRAIN
from tdro.errors import UserError
from tdro.training.distill import usable
from tdro.training.masks import passages_of, rows_by_task

log = logging.getLogger(__name__)

# Training rows at a time.
_ROWS = 1 << 16


def scored_files(plan: pa.Table, results: Path) -> dict[str, Path]:
    """``train.parquet`` of each task of a plan."""
    return {task: Path(Layout(results).task(task, "train.parquet")) for task in plan["task"].unique().to_pylist()}


def plan_scores(plan: pa.Table, files: dict[str, Path]) -> Tensor:
    """The score of the positive and the negatives of each row of a plan; says which rows have none.

    The plan itself holds none, so that a training without distillation pays nothing for them.

    Args:
        plan: Table of schema ``PLAN``, with as many negatives in every row.
        files: ``train.parquet`` of each task.

    Returns:
        Float32 of shape (rows, 1 + m). NaN where a passage has no score: a random one that filled a gap, a borrowed
        positive of another row, a provided negative.

    Raises:
        UserError: when a file has no scores, or scores of other passages.
    """
    passages = passages_of(plan)
    queries, rows_of = plan["query"].to_numpy(), rows_by_task(plan)
    scores = torch.full(passages.shape, torch.nan)
    for task, file in files.items():
        rows = rows_of[task]
        known = _known(file, np.unique(queries[rows]))
        scores[rows] = torch.from_numpy(_looked_up(*known, _pairs(queries[rows, None], passages[rows])))
        _say(task, scores[rows])
    _warn(scores)
    return scores


def _known(file: Path, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of query and passage that have a score, rising, and their scores, of some queries."""
    wanted = pa.array(queries, pa.int32())
    parts = [(np.empty(0, np.int64), np.empty(0, np.float32))]
    for table in read_batches(file, SCORED_TRAIN, _ROWS):
        rows = table.filter(pc.is_in(table["query"], wanted)).combine_chunks()
        parts += [_scored(rows, kind, file) for kind in ("positive", "negative")]
    pairs, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(pairs, kind="stable")
    return pairs[order], scores[order]


def _scored(rows: pa.Table, kind: str, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pairs and scores of the positives, or negatives, of some training rows."""
    rows = rows.filter(pc.is_valid(rows[f"{kind}_scores"])).combine_chunks()
    passages, scores = rows[f"{kind}s"], rows[f"{kind}_scores"]
    lengths = pc.list_value_length(passages).to_numpy()
    if not np.array_equal(lengths, pc.list_value_length(scores).to_numpy()):
        raise UserError(
            f"{file} has other {kind}s than scores of {kind}s; delete it and let the workflow make it again."
        )
    owners = np.repeat(rows["query"].to_numpy(), lengths)
    return _pairs(owners, pc.list_flatten(passages).to_numpy()), pc.list_flatten(scores).to_numpy()


def _pairs(queries: np.ndarray, passages: np.ndarray) -> np.ndarray:
    """Query and passage in one integer."""
    return queries.astype(np.int64) << 32 | passages


def _looked_up(known: np.ndarray, scores: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The score of each pair, NaN where it is not known."""
    if not len(known):
        return np.full(pairs.shape, np.nan, np.float32)
    at = np.minimum(np.searchsorted(known, pairs), len(known) - 1)
    return np.where(known[at] == pairs, scores[at], np.float32(np.nan))


def _say(task: str, scores: Tensor) -> None:
    """A line on what of a task is distilled."""
    counted = usable(scores)
    distilled = counted[:, 0]
    lacking = int((~counted[distilled]).sum())
    log.info(
        "task %s: %d of %d rows learn the cross-encoder's scores; %d of their negatives have none and are left out",
        *(task, int(distilled.sum()), len(scores), lacking),
    )


def _warn(scores: Tensor) -> None:
    """Point out scores that teach nothing."""
    known = scores[usable(scores)]
    if not len(known):
        log.warning("no row of the plan has scores of a cross-encoder, so `training.distill` changes nothing")
    elif known.min() >= 0 and known.max() <= 1:
        log.warning(
            "all scores of the cross-encoder lie between 0 and 1, as a sigmoid leaves them, so that their softmax is "
            "nearly even and teaches little; `mining.rescore.activation: none` keeps the scores before the sigmoid"
        )
