"""Stage ``train``: a retriever from a base model and a homogeneous plan.

accelerate launch --config_file config/accelerate/cpu.yaml --num_processes 1 -m tdro train ...
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from tdro.artifacts.beside import take_away
from tdro.artifacts.files import read_table
from tdro.artifacts.folders import check_output, replacing_folder
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import QUERIES
from tdro.artifacts.sums import write_sums
from tdro.config.commands import TrainJob
from tdro.config.dimensions import check_trained
from tdro.config.prompts import named
from tdro.errors import UserError
from tdro.mixtures.weights import read_weights
from tdro.models.bases import load_retriever
from tdro.models.load import SETTINGS, written_prompts
from tdro.models.networks import merge_adapters, network_of
from tdro.models.processes import processes
from tdro.training import trainer
from tdro.training.card import describe_training, public_settings
from tdro.training.distill import Distillation
from tdro.training.learner import Learner, Places, open_learner, read_plan
from tdro.training.losses import ContrastiveLoss
from tdro.training.masks import KnownPositives
from tdro.training.teacher import plan_scores, scored_files

log = logging.getLogger(__name__)


def train(places: Places, job: TrainJob, loss_weights: Path | None = None, start: Path | None = None) -> None:
    """Train on a homogeneous plan and write a SentenceTransformer folder.

    Args:
        places: Plan, results, the model's folder as output, and folders to work in.
        job: Model, lengths, schedule, instructions and seed.
        loss_weights: Weights JSON that scales the loss of each task by k x its weight, for k tasks: loss reweighting,
            the control of the paper's Table 5.
        start: Folder of a retriever trained from the same base, whose weights and prompts this training goes on from;
            None starts from the base.

    Raises:
        UserError: when an input is missing or does not fit the others.
        Unfinished: when a signal stopped the training; the same command goes on with it.
    """
    rows = read_plan(places.plan, job.training, mixed=False)
    check_output(places.output)
    scored = scored_files(rows, places.results) if job.training.distill else {}
    inputs = [loss_weights] if loss_weights else []
    begun = _going_on(job, start) if start else job
    learner = open_learner(places, begun, rows, inputs, scored.values(), stage=__name__)
    check_trained(job.model.name, learner.model.get_embedding_dimension(), job.training.matryoshka)
    whole = trainer.run(learner, _loss(learner, job, scored, loss_weights), job.training)
    if processes().is_main_process:
        _save(learner, job, whole)
    learner.texts.close()
    if processes().is_main_process:
        take_away(places.checkpoints)
        log.info("wrote %s", places.output)


def _loss(learner: Learner, job: TrainJob, scored: dict[str, Path], loss_weights: Path | None) -> ContrastiveLoss:
    rows, training = learner.rows, job.training
    return ContrastiveLoss(
        learner.model,
        training.temperature,
        KnownPositives(rows, _positives(rows, learner.places.results)),
        _factors(rows, loss_weights),
        learner.meter,
        dimensions=training.matryoshka,
        alone=_alone(rows, job.own_negatives),
        distillation=Distillation(plan_scores(rows, scored), training.distill) if training.distill else None,
    )


def _going_on(job: TrainJob, start: Path) -> TrainJob:
    """The same training from the weights of a trained retriever, in which the base's layers and tokens are settled."""
    prompts = written_prompts(start)
    if prompts is None:
        raise UserError(f"{start} is no retriever that `tdro train` wrote, as it has no {SETTINGS}; correct --start.")
    settled = {**dict.fromkeys(("revision", "sha256", "layers", "static")), "pooling": "auto"}
    model = job.model.model_copy(update={**settled, "base": str(start), "prompts": prompts})
    return job.model_copy(update={"model": model})


def _positives(rows: pa.Table, results: Path) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """The known positives of every query of each task of a plan, rows of the task's corpus; one task at a time."""
    layout, column = Layout(results), pa.schema([QUERIES.field("positives")])
    for task in rows["task"].unique().to_pylist():
        yield task, read_table(layout.task(task, "queries.parquet"), column)["positives"]


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


def _save(learner: Learner, job: TrainJob, whole: dict[str, Tensor] | None) -> None:
    """Write the model, its card and the settings it was trained with, beside its place; then move it there."""
    model, output = _finished(learner, whole), learner.places.output
    # The settings hold the prompts that were used, which evaluation reads there.
    used = job.model.model_copy(update={"prompts": learner.texts.prompts})
    job = job.model_copy(update={"model": used})
    with replacing_folder(output) as folder:
        model.save_pretrained(str(folder), create_model_card=False)
        settings = public_settings(job).model_dump_json(indent=2)
        (folder / SETTINGS).write_text(f"{settings}\n", encoding="utf-8")
        describe_training(folder, job, learner.rows, learner.texts, model)
        write_sums(folder)


def _finished(learner: Learner, whole: dict[str, Tensor] | None) -> SentenceTransformer:
    """The retriever in one piece, without adapters, its prompts by name."""
    model, job = learner.model, learner.job
    if whole is not None:
        model = load_retriever(job.model, job.encoding, learner.places.fetched)
        model.load_state_dict(whole)
    if job.model.lora:
        merge_adapters(network_of(model))
    model.prompts, model.default_prompt_name = named(learner.texts.prompts, job.tasks)
    return model
