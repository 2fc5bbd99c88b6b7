"""Stage ``optimize``: tDRO. A proxy model is trained on batches of all tasks; tasks whose loss stays
high against the reference gain weight.

    accelerate launch --config_file config/accelerate/cpu.yaml --num_processes 1 -m tdro optimize ...
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor
from transformers import TrainerCallback

from tdro.artifacts.beside import take_away
from tdro.artifacts.files import digest, read_origin, read_table, write_table
from tdro.artifacts.fulldisk import naming
from tdro.artifacts.schemas import HEAVIEST, REFERENCE, TRAJECTORY
from tdro.config.commands import OptimizeJob
from tdro.config.training import Tdro
from tdro.dro.heaviest import HEAVIEST_ROWS, heaviest_rows
from tdro.dro.loss import RobustLoss
from tdro.dro.update import TaskWeights
from tdro.errors import UserError
from tdro.mixtures.weights import read_weights
from tdro.models.processes import processes
from tdro.training import trainer
from tdro.training.checkpoints import newest_checkpoint
from tdro.training.learner import Places, open_learner, read_plan

log = logging.getLogger(__name__)

_STATE = "task_weights.pt"


def optimize(places: Places, reference: Path, initial: Path, job: OptimizeJob) -> None:
    """Learn the task weights and write ``trajectory.parquet``, and ``heaviest_rows.parquet`` beside it.

    Args:
        places: A mixed plan, results, ``trajectory.parquet`` as output, and folders to work in.
        reference: ``reference.parquet`` of the same plan.
        initial: Weights JSON to start from; it also tells the training rows of each task.
        job: Model, lengths, schedule, instructions and seed.

    Raises:
        UserError: when ``reference`` belongs to another plan, or a loss is not finite.
        Unfinished: when a signal stopped the training; the same command goes on with it.
    """
    rows = read_plan(places.plan, job.tdro, mixed=True)
    known = _reference_losses(reference, places.plan)
    start = read_weights(initial)
    task_ids = _task_ids(rows, list(start.weights), places.plan, initial)
    weights = _task_weights(start.weights, initial, job.tdro)
    learner = open_learner(places, job, rows, [reference, initial], stage=__name__)
    loss = RobustLoss(learner.model, weights, task_ids, known, job.tdro, learner.meter)
    _load_state(loss, places.checkpoints)
    trainer.run(learner, loss, job.tdro, accumulation=job.tdro.accumulation, callbacks=(_SaveState(loss),))
    learner.texts.close()
    if processes().is_main_process:
        # The trajectory comes last: where it lies, the run is finished.
        heaviest = heaviest_rows(rows, loss.carried.numpy(), known.double().numpy())
        write_table(places.output.with_name(HEAVIEST_ROWS), heaviest, HEAVIEST)
        write_table(places.output, _trajectory(loss.history, start.sizes), TRAJECTORY)
        take_away(places.checkpoints)
        log.info("wrote %s", places.output)


class _SaveState(TrainerCallback):
    """Task weights and trajectory are part of a checkpoint."""

    def __init__(self, loss: RobustLoss) -> None:
        self._loss = loss

    def on_save(self, args, state, control, **kwargs) -> None:
        if state.is_world_process_zero:
            loss = self._loss
            content = {"weights": loss.weights.state_dict(), "history": loss.history, "carried": loss.carried}
            with naming(args.output_dir):
                torch.save(content, Path(args.output_dir) / f"checkpoint-{state.global_step}" / _STATE)


def _load_state(loss: RobustLoss, checkpoints: Path) -> None:
    newest = newest_checkpoint(checkpoints)
    if newest:
        content = torch.load(newest / _STATE, weights_only=True)
        loss.weights.load_state_dict(content["weights"])
        loss.history, loss.carried = content["history"], content["carried"]


def _task_weights(initial: Mapping[str, float], where: Path, tdro: Tdro) -> TaskWeights:
    zero = [task for task, weight in initial.items() if not weight]
    if zero:
        raise UserError(f"{where}: the weight of {zero[0]!r} is 0, from which tDRO cannot start; leave the task out.")
    return TaskWeights(torch.tensor(list(initial.values())), tdro)


def _reference_losses(reference: Path, plan: Path) -> Tensor:
    """Reference loss of each row of the plan, shape (rows,)."""
    if read_origin(reference) != digest(plan):
        raise UserError(f"{reference} was computed on another plan; delete it and run `tdro reference` on this plan.")
    losses = torch.tensor(read_table(reference, REFERENCE)["loss"].to_numpy())
    bad = (~torch.isfinite(losses)).nonzero()
    if len(bad):
        raise UserError(
            f"{reference}: the loss of row {int(bad[0])} is not finite ({len(bad)} such rows); train the reference "
            "model again with a lower `training.learning_rate`."
        )
    return losses


def _task_ids(rows: pa.Table, tasks: list[str], plan: Path, initial: Path) -> Tensor:
    number = {task: i for i, task in enumerate(tasks)}
    unknown = sorted(set(rows["task"].unique().to_pylist()) - set(number))
    if unknown:
        raise UserError(f"{plan} holds task {unknown[0]!r}, which {initial} lacks; make both from the same tasks.")
    return torch.tensor([number[task] for task in rows["task"].to_pylist()])


def _trajectory(history: list[dict[str, list]], sizes: Mapping[str, int]) -> dict[str, Any]:
    """Columns of the trajectory, one row a step and task."""
    columns: dict[str, Any] = {
        "step": [step for step in range(len(history)) for _ in sizes],
        "task": list(sizes) * len(history),
        "size": list(sizes.values()) * len(history),
    }
    for name in TRAJECTORY.names[3:]:
        columns[name] = [value for record in history for value in record[name]]
    return columns
