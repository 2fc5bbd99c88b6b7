"""What training and tDRO have in common before the first step: a plan, and a base that is to learn from it."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sentence_transformers import SentenceTransformer
from transformers import set_seed

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import PLAN
from tdro.config.commands import OptimizeJob, TrainJob
from tdro.config.training import Optimisation
from tdro.errors import UserError
from tdro.models.bases import base_prompts, load_retriever
from tdro.models.modelfiles import model_files
from tdro.models.room import check_model
from tdro.training.batches import Texts, files_of
from tdro.training.checkpoints import keep_if_same
from tdro.training.kepttexts import keep_texts
from tdro.training.meter import Meter


class Places(NamedTuple):
    """The files and folders of a training.

    Attributes:
        plan: ``plan.parquet``.
        results: Folder with the tasks' ``data/{task}/{corpus,queries}.parquet``, and ``train.parquet`` to distil.
        output: What is made; it appears when the training is done.
        checkpoints: Folder to resume from after a kill; removed at the end.
        tensorboard: Folder for TensorBoard's event files.
        fetched: Manifest of the base, fetched ahead; None fetches on demand.
    """

    plan: Path
    results: Path
    output: Path
    checkpoints: Path
    tensorboard: Path
    fetched: Path | None = None


class Learner(NamedTuple):
    """A base that learns from a plan.

    Attributes:
        places: Where its files lie.
        job: Model, lengths, schedule, instructions and seed.
        rows: The plan, a table of schema ``PLAN``.
        model: The retriever.
        texts: The texts of the plan's rows, with what stands before them.
        meter: What the loss tells; shown beside the loss.
    """

    places: Places
    job: TrainJob | OptimizeJob
    rows: pa.Table
    model: SentenceTransformer
    texts: Texts
    meter: Meter


def read_plan(file: Path, optimisation: Optimisation, *, mixed: bool) -> pa.Table:
    """A plan that holds the batches that the settings speak of.

    Raises:
        UserError: naming ``file`` and what differs.
    """
    plan = read_table(file, PLAN)
    steps, batch_size, negatives = optimisation.steps, optimisation.batch_size, optimisation.negatives
    rows, problem = plan.num_rows, None
    if any(column.null_count for column in plan.columns):
        problem = "has empty cells"
    elif rows != steps * batch_size or (plan["step"].to_numpy() != np.arange(rows) // batch_size).any():
        problem = f"does not hold {steps} steps of {batch_size} rows"
    elif pc.any(pc.not_equal(pc.list_value_length(plan["negatives"]), negatives)).as_py():
        problem = f"does not have {negatives} negatives in every row"
    elif not mixed and plan.select(["step", "task"]).group_by(["step", "task"]).aggregate([]).num_rows > steps:
        problem = "mixes tasks within a step, which a training does not"
    if problem:
        raise UserError(f"{file} {problem}; make the plan anew with the settings of this run.")
    return plan


def open_learner(
    places: Places,
    job: TrainJob | OptimizeJob,
    rows: pa.Table,
    inputs: Iterable[Path] = (),
    large: Iterable[Path] = (),
    *,
    stage: str,
) -> Learner:
    """Load the base of a training; checkpoints of another one are removed, and the seed is set.

    Args:
        places: Where its files lie.
        job: Model, lengths, schedule, instructions and seed.
        rows: Its plan.
        inputs: What it reads beside plan, texts and base, told apart by content.
        large: Further such files, told apart by size and time of change.
        stage: The module whose code and libraries decide the computation.

    Raises:
        UserError: when the base does not fit ``job``, or the folder of checkpoints is one of something else.
    """
    small = [places.plan, *([places.fetched] if places.fetched else []), *inputs]
    large = [*files_of(rows, places.results), *model_files(job.model.base), *large]
    keep_if_same(places.checkpoints, job, small, large, stage=stage)
    kept = places.checkpoints / "texts"
    keep_texts(rows, places.results, kept)
    set_seed(job.seed)
    model = load_retriever(job.model, job.encoding, places.fetched)
    prompts = base_prompts(job.model, model)
    check_model(model, job.tasks, prompts)
    texts = Texts(kept, job.tasks, job.seed, prompts)
    return Learner(places, job, rows, model, texts, Meter(rows["task"].to_pylist()))
