"""Which tasks may harm, by merged experts: those that a training without each is then asked about.

    experts/dev.parquet -> experts/candidates.json

Experts without one of them, added up, stand for a training without its task. It costs nothing, and it is a stand-in;
so it drops no task, it spares the trainings that could not confirm anything.
"""

import logging
from dataclasses import asdict
from pathlib import Path

import polars as pl

from tdro.artifacts.files import read_table, write_json
from tdro.artifacts.schemas import EXPERT_SCORES
from tdro.artifacts.shapes import expecting
from tdro.config.commands import PruneJob
from tdro.evaluation.prune import reciprocal_ranks, utilities

log = logging.getLogger(__name__)


def prune_candidates(scores: Path, output: Path, job: PruneJob) -> None:
    """Write the tasks whose utility by merged experts has an interval below zero, the most harmful first.

    No correction for several tasks is made here; a training without each task decides, and is corrected for all. At
    most half of the tasks are asked about, since half stay in any case.

    Args:
        scores: ``experts/dev.parquet``.
        output: ``candidates.json``: the tasks, ``merged`` utilities of all of them, and those ``asked`` about.
        job: Confidence, resamples and seed.
    """
    table = pl.DataFrame(read_table(scores, EXPERT_SCORES))
    of = {
        str(name): [reciprocal_ranks(part.drop("candidate", "ratio").to_arrow())]
        for (name,), part in table.partition_by("candidate", maintain_order=True, as_dict=True).items()
    }
    tasks = [name.removeprefix("expert-") for name in of if name.startswith("expert-")]
    with expecting(scores, "file of the scores of merged experts, of all on the same queries"):
        without = {task: of[f"without-{task}"] for task in tasks}
        found = {task: one.difference for task, one in utilities(of["uniform"], without, **job.model_dump()).items()}
    harmful = sorted((task for task in tasks if found[task].high < 0), key=lambda task: found[task].mean)
    asked = harmful[: len(tasks) // 2]
    log.info("merged experts make %s doubtful", ", ".join(asked) if asked else "no task")
    merged = {task: asdict(difference) for task, difference in found.items()}
    write_json(output, {"tasks": tasks, "merged": merged, "asked": asked})
