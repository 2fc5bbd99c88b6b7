"""Stage ``train``: a retriever from a base model and a homogeneous plan.

accelerate launch --config_file config/accelerate/cpu.yaml --num_processes 1 -m tdro train ...
"""

import logging
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor
from transformers import set_seed

from tdro.artifacts.files import read_table
from tdro.artifacts.fulldisk import naming
from tdro.artifacts.schemas import PLAN
from tdro.config.commands import TrainJob
from tdro.config.dimensions import check_trained
from tdro.config.prompts import TaskPrompts, named
from tdro.errors import UserError
from tdro.mixtures.weights import read_weights
from tdro.models.bases import base_prompts, load_retriever
from tdro.models.load import SETTINGS, network_of
from tdro.models.lora import merge_adapters
from tdro.models.modelfiles import model_files
from tdro.models.processes import processes
from tdro.models.room import check_model
from tdro.training import trainer
from tdro.training.batches import Texts, files_of
from tdro.training.card import describe_training, public_settings
from tdro.training.distill import Distillation
from tdro.training.losses import ContrastiveLoss
from tdro.training.masks import KnownPositives
from tdro.training.meter import Meter
from tdro.training.teacher import plan_scores, scored_files

log = logging.getLogger(__name__)


def train(
    plan: Path,
    results: Path,
    output: Path,
    checkpoints: Path,
    tensorboard: Path,
    job: TrainJob,
    fetched: Path | None = None,
    loss_weights: Path | None = None,
) -> None:
    """Train on ``plan`` and write a SentenceTransformer folder.

    Args:
        plan: ``plan.parquet``, homogeneous.
        results: Folder with the tasks' ``data/{task}/{corpus,queries}.parquet``, and ``train.parquet`` to distil.
        output: The model's folder; it appears when the training is done.
        checkpoints: Folder to resume from after a kill; removed at the end.
        tensorboard: Folder for TensorBoard's event files.
        job: Model, lengths, schedule, instructions and seed.
        fetched: Manifest of the base, fetched ahead; null fetches on demand.
        loss_weights: Weights JSON that scales the loss of each task by k x its weight, for k tasks: loss reweighting,
            the control of the paper's Table 5.

    Raises:
        UserError: when an input is missing or does not fit the others.
        Unfinished: when a signal stopped the training; the same command goes on with it.
    """
    rows = read_table(plan, PLAN)
    trainer.check_plan(rows, plan, job.training, mixed=False)
    _check_output(output)
    small = [plan, *(file for file in (fetched, loss_weights) if file)]
    scored = scored_files(rows, results) if job.training.distill else {}
    large = [*files_of(rows, results), *scored.values(), *model_files(job.model.base)]
    trainer.keep_if_same(checkpoints, job, small, large, stage=__name__)
    set_seed(job.seed)
    model = load_retriever(job.model, job.encoding, fetched)
    prompts = base_prompts(job.model, model)
    check_model(model, job.tasks, prompts)
    check_trained(job.model.name, model.get_embedding_dimension(), job.training.matryoshka)
    texts = Texts(results, job.tasks, job.seed, prompts)
    meter = Meter(rows["task"].to_pylist())
    loss = ContrastiveLoss(
        model,
        job.training.temperature,
        KnownPositives(rows, {task: texts.positives(task) for task in rows["task"].unique().to_pylist()}),
        _factors(rows, loss_weights),
        job.training.mini_batch_tokens,
        meter,
        dimensions=job.training.matryoshka,
        alone=_alone(rows, job.own_negatives),
        distillation=Distillation(plan_scores(rows, scored), job.training.distill) if job.training.distill else None,
    )
    whole = trainer.run(
        model,
        loss,
        rows,
        texts,
        meter,
        optimisation=job.training,
        encoding=job.encoding,
        checkpoints=checkpoints,
        tensorboard=tensorboard,
        seed=job.seed,
    )
    if processes().is_main_process:
        if whole is not None:
            model = load_retriever(job.model, job.encoding, fetched)
            model.load_state_dict(whole)
        if job.model.lora:
            merge_adapters(network_of(model))
        model.prompts, model.default_prompt_name = named(prompts, job.tasks)
        _save(model, _with_prompts(job, prompts), rows, texts, output)
        shutil.rmtree(checkpoints, ignore_errors=True)
        log.info("wrote %s", output)


def _factors(rows: pa.Table, loss_weights: Path | None) -> Tensor | None:
    """K x weight of the task of each row of the plan, shape (rows,)."""
    if loss_weights is None:
        return None
    weights = read_weights(loss_weights).weights
    tasks = rows["task"].to_pylist()
    unknown = sorted(set(tasks) - set(weights))
    if unknown:
        raise UserError(f"{loss_weights} has no weight for task {unknown[0]!r} of the plan; make both from one config.")
    return torch.tensor([len(weights) * weights[task] for task in tasks])


def _alone(rows: pa.Table, tasks: list[str]) -> Tensor | None:
    """Whether each row of the plan belongs to one of the tasks, shape (rows,); None where there are none."""
    return torch.from_numpy(pc.is_in(rows["task"], pa.array(tasks)).to_numpy()) if tasks else None


def _check_output(output: Path) -> None:
    """Raises UserError: when a folder that is no model would be replaced."""
    if output.exists() and not (output / "modules.json").is_file() and (output.is_file() or any(output.iterdir())):
        raise UserError(f"{output} exists and is no SentenceTransformer folder; name another output.")


def _with_prompts(job: TrainJob, prompts: TaskPrompts) -> TrainJob:
    """The settings with the prompts that were used, which evaluation reads there."""
    return job.model_copy(update={"model": job.model.model_copy(update={"prompts": prompts})})


def _save(model, job: TrainJob, plan: pa.Table, texts: Texts, output: Path) -> None:
    """Write the model, its card and the settings it was trained with, beside its place; then move it there."""
    output.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{output.name}-"
    with naming(output), tempfile.TemporaryDirectory(dir=output.parent, prefix=prefix) as temporary:
        folder = Path(temporary) / "model"
        model.save_pretrained(str(folder), create_model_card=False)
        settings = public_settings(job).model_dump_json(indent=2)
        (folder / SETTINGS).write_text(f"{settings}\n", encoding="utf-8")
        describe_training(folder, job, plan, texts, model)
        shutil.rmtree(output, ignore_errors=True)
        folder.rename(output)
