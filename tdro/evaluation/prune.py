"""Stage ``prune``: which tasks a training is better off without, by leave-one-out utilities on dev queries.

    found = utilities(scores_of_all, {"faq": scores_without_faq, ...}, confidence=0.95, samples=10_000, seed=42)
    dropped(found)        # the names of the tasks to train without; none where none can be told to harm

The utility of a task is what it adds: the mean over the dev sets of the retriever trained on all tasks, minus that of
the one trained without it. Below zero it harms. A task goes where that is sure: where the interval of its utility ends
below zero, and its p, corrected for all tasks that were asked about, is below 1 minus the confidence. At least half of
the tasks stay, those that harm most go first. On 16 retrieval sets the best 7, 43 % of the pairs, gave 0.529 on BEIR
instead of 0.519 (arXiv 2505.16967), though they were chosen on BEIR itself.
"""

import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import model_validator

from tdro.artifacts.files import read_json, read_table, write_json
from tdro.artifacts.schemas import DEV_SCORES
from tdro.artifacts.shapes import expecting
from tdro.config.commands import PruneJob
from tdro.config.sections import Section, parse
from tdro.errors import UserError
from tdro.evaluation.statistics import Difference, combine, holm, resample

log = logging.getLogger(__name__)

#: Scores of single queries by dev set, shape (queries,) each, in one order for all retrievers; one such a seed.
DevScores = Sequence[Mapping[str, np.ndarray]]


class Candidates(Section):
    """A ``candidates.json``: which tasks there are, and what merged experts tell of them."""

    tasks: list[str]
    merged: dict[str, dict[str, float | None]]
    asked: list[str]
    """Those that a training without each is to be asked about."""

    @model_validator(mode="after")
    def _asked_are_tasks(self) -> Self:
        if len(set(self.asked)) < len(self.asked) or not set(self.asked) <= set(self.tasks):
            raise ValueError("asked names a task twice, or one that is none of tasks")
        return self


@dataclass(frozen=True)
class Utility:
    """What a task adds, and how surely.

    Attributes:
        difference: The macro mean over the dev sets with all tasks minus that without this one, its interval and p.
        holm: p corrected for all tasks.
        harms: Whether the task is told to harm.
    """

    difference: Difference
    holm: float
    harms: bool


def utilities(
    whole: DevScores,
    without: Mapping[str, DevScores],
    *,
    confidence: float,
    samples: int,
    seed: int,
    asked: int | None = None,
) -> dict[str, Utility]:
    """The utility of each task, by name.

    Args:
        whole: Scores of the retriever trained on all tasks, by seed.
        without: Those of the retriever trained without each task, or of its stand-in out of merged experts, of the same
            seeds. With several, their spread is part of every interval.
        confidence: Level of the intervals.
        samples: Resamples of the queries.
        seed: Decides them; each dev set has the same for every task, which keeps the tasks comparable.
        asked: Tasks that were asked about, if more than ``without`` has: where a cheap look has chosen some to be
            confirmed by a training, all those that it looked at are corrected for.

    Raises:
        ValueError: when two retrievers have other seeds, dev sets or numbers of queries.
    """
    found = {task: _difference(whole, scores, confidence, samples, seed) for task, scores in without.items()}
    unasked = max(0, (asked or 0) - len(found))
    corrected = holm([difference.p for difference in found.values()] + [1.0] * unasked)
    return {
        task: Utility(difference, p, p < 1 - confidence and difference.high < 0)
        for (task, difference), p in zip(found.items(), corrected[: len(found)], strict=True)
    }


def _difference(whole: DevScores, without: DevScores, confidence: float, samples: int, seed: int) -> Difference:
    gains = [_gains(*pair) for pair in zip(whole, without, strict=True)]
    names = list(gains[0])
    parts = [
        resample(
            np.mean([of_seed[name] for of_seed in gains], axis=0)[:, None],
            samples=samples,
            seed=[seed, zlib.crc32(name.encode())],
        )
        for name in names
    ]
    seeds = [[np.mean([of_seed[name].mean() for name in names])] for of_seed in gains] if len(gains) > 1 else None
    return combine([(1 / len(parts), part) for part in parts], confidence=confidence, seeds=seeds)[0]


def _gains(whole: Mapping[str, np.ndarray], without: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What all tasks gain on each query of each dev set over those without one, of one seed."""
    if whole.keys() != without.keys() or any(whole[name].shape != without[name].shape for name in whole):
        raise ValueError("retrievers must be compared on the same queries of the same dev sets")
    return {name: whole[name] - without[name] for name in whole}


def dropped(found: Mapping[str, Utility], tasks: int | None = None) -> list[str]:
    """The tasks to train without, the most harmful first.

    Args:
        found: Utilities.
        tasks: How many tasks there are, of which at least half stay; None: those of ``found``.
    """
    harmful = sorted((task for task, one in found.items() if one.harms), key=lambda task: found[task].difference.mean)
    return harmful[: (tasks or len(found)) // 2]


def prune(candidates: Path, whole: Path, without: Sequence[Path], output: Path, job: PruneJob) -> None:
    """Write which tasks go, out of those that merged experts made doubtful and a training without each confirms.

    Args:
        candidates: ``candidates.json`` of ``tdro prune-candidates``.
        whole: Dev scores of the retriever trained on all tasks.
        without: Those of the retrievers trained without each task that is asked about, in their order.
        output: ``prune.json``.
        job: Confidence, resamples and seed.

    Raises:
        UserError: when a file is missing or wrong, or there are not as many retrievers as tasks asked about.
    """
    content = parse(Candidates, read_json(candidates), str(candidates))
    asked, tasks = content.asked, content.tasks
    if len(without) != len(asked):
        raise UserError(
            f"{candidates} asks about {len(asked)} tasks; name a file of dev scores for each, not {len(without)}."
        )
    scores = {task: [_of_file(file)] for task, file in zip(asked, without, strict=True)}
    with expecting(whole, "file of the dev scores of the same queries as those of the others"):
        found = utilities([_of_file(whole)], scores, asked=len(tasks), **job.model_dump()) if asked else {}
    gone = dropped(found, len(tasks))
    for task in asked:
        log.info("%s", _sentence(task, found[task], task in gone))
    if not gone:
        log.info("no task can be told to harm, so prune is uniform")
    kept = [task for task in tasks if task not in gone]
    trained = {task: asdict(one.difference) | {"holm": one.holm} for task, one in found.items()}
    write_json(output, {"merged": content.merged, "trained": trained, "dropped": gone, "kept": kept})


def _of_file(file: Path) -> dict[str, np.ndarray]:
    return reciprocal_ranks(read_table(file, DEV_SCORES))


def _sentence(task: str, found: Utility, gone: bool) -> str:
    """What was found of a task, and what became of it."""
    one = found.difference
    told = f"{task}: {one.mean:+.4f} [{one.low:+.4f}, {one.high:+.4f}] with it against a training without it"
    return f"{told}, p {found.holm:.3g} for all tasks: {'dropped' if gone else 'kept'}"


def reciprocal_ranks(scores: pa.Table) -> dict[str, np.ndarray]:
    """Reciprocal rank of each dev query by dataset.

    Unlike losses of a low temperature they are bounded by 1, so that no dataset outweighs the others in a macro mean.
    """
    table = pl.DataFrame(scores)
    return {
        name: part["reciprocal_rank"].to_numpy()
        for (name,), part in table.partition_by("dataset", maintain_order=True, as_dict=True).items()
    }
