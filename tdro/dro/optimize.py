"""Stage ``optimize``: tDRO. A proxy model is trained on batches of all tasks; tasks whose loss stays
high against the reference gain weight.

    accelerate launch --config_file config/accelerate/cpu.yaml --num_processes 1 -m tdro optimize ...
"""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from accelerate.utils import gather
from torch import Tensor
from transformers import TrainerCallback, set_seed

from tdro.artifacts.files import digest, read_origin, read_table, write_table
from tdro.artifacts.fulldisk import naming
from tdro.artifacts.schemas import HEAVIEST, PLAN, REFERENCE, TRAJECTORY
from tdro.config.commands import OptimizeJob
from tdro.config.training import Tdro
from tdro.dro.heaviest import HEAVIEST_ROWS, heaviest_rows
from tdro.dro.update import TaskWeights
from tdro.errors import UserError
from tdro.mixtures.weights import read_weights
from tdro.models.bases import base_prompts, load_retriever
from tdro.models.modelfiles import model_files
from tdro.models.processes import processes
from tdro.models.room import check_model
from tdro.training import trainer
from tdro.training.batches import Texts, files_of
from tdro.training.forward import embed_columns
from tdro.training.losses import check_finite, own_negatives_loss
from tdro.training.meter import Meter

log = logging.getLogger(__name__)

_STATE = "task_weights.pt"


def optimize(
    plan: Path,
    reference: Path,
    initial: Path,
    results: Path,
    output: Path,
    checkpoints: Path,
    tensorboard: Path,
    job: OptimizeJob,
    fetched: Path | None = None,
) -> None:
    """Learn the task weights and write ``trajectory.parquet``, and ``heaviest_rows.parquet`` beside it.

    Args:
        plan: ``plan.parquet``, mixed.
        reference: ``reference.parquet`` of the same plan.
        initial: Weights JSON to start from; it also tells the training rows of each task.
        results: Folder with the tasks' ``data/{task}/{corpus,queries}.parquet``.
        output: ``trajectory.parquet``.
        checkpoints: Folder to resume from after a kill; removed at the end.
        tensorboard: Folder for TensorBoard's event files.
        job: Model, lengths, schedule, instructions and seed.
        fetched: Manifest of the base, fetched ahead; null fetches on demand.

    Raises:
        UserError: when ``reference`` belongs to another plan, or a loss is not finite.
    """
    rows = read_table(plan, PLAN)
    trainer.check_plan(rows, plan, job.tdro, mixed=True)
    reference_losses = _reference_losses(reference, plan)
    trainer.keep_if_same(
        checkpoints,
        job,
        [plan, reference, initial, *([fetched] if fetched else [])],
        [*files_of(rows, results), *model_files(job.model.base)],
        stage=__name__,
    )
    set_seed(job.seed)
    start = read_weights(initial)
    task_ids = _task_ids(rows, list(start.weights), plan, initial)
    model = load_retriever(job.model, job.encoding, fetched)
    prompts = base_prompts(job.model, model)
    check_model(model, job.tasks, prompts)
    texts = Texts(results, job.tasks, job.seed, prompts)
    meter = Meter(rows["task"].to_pylist())
    weights = _task_weights(start.weights, initial, job)
    loss = RobustLoss(model, weights, task_ids, reference_losses, job.tdro, meter)
    _load_state(loss, checkpoints)
    trainer.run(
        model,
        loss,
        rows,
        texts,
        meter,
        optimisation=job.tdro,
        encoding=job.encoding,
        checkpoints=checkpoints,
        tensorboard=tensorboard,
        seed=job.seed,
        accumulation=job.tdro.accumulation,
        callbacks=(_SaveState(loss),),
    )
    if processes().is_main_process:
        # The trajectory comes last: where it lies, the run is finished.
        heaviest = heaviest_rows(rows, loss.carried.numpy(), reference_losses.double().numpy())
        write_table(output.with_name(HEAVIEST_ROWS), heaviest, HEAVIEST)
        write_table(output, _trajectory(loss.history, start.sizes), TRAJECTORY)
        shutil.rmtree(checkpoints, ignore_errors=True)
        log.info("wrote %s", output)


class RobustLoss(torch.nn.Module):
    """Loss of the proxy: the sum over rows of row weight x own-negatives loss (docs/algorithm.md).

    Args:
        model: The proxy.
        weights: The task weights, which see each micro-batch and say what its rows weigh.
        task_ids: Task of each row of the plan, shape (rows,).
        reference: Reference loss of each row of the plan, shape (rows,).
        tdro: Temperature, micro-batches between two updates, and tokens of a forward pass.
        meter: Is told tokens and losses.
    """

    def __init__(
        self, model, weights: TaskWeights, task_ids: Tensor, reference: Tensor, tdro: Tdro, meter: Meter
    ) -> None:
        super().__init__()
        self._mini_batch_tokens, self._meter = tdro.mini_batch_tokens, meter
        self.model, self.weights = model, weights
        self.task_ids, self.reference = task_ids, reference
        self.temperature, self.accumulation = tdro.temperature, tdro.accumulation
        self._window: list[tuple[Tensor, ...]] = []
        #: What each row of the plan has added to its task's clipped measurement so far, shape (rows,).
        self.carried = torch.zeros(len(reference), dtype=torch.float64)
        #: What each finished step did, as columns of shape (k,).
        self.history: list[dict[str, list]] = []

    def forward(self, features: list[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """The weighted loss of a micro-batch, a scalar.

        Args:
            features: Tokens of the queries, the positives and each column of negatives.
            labels: Number of each row in the plan, shape (n,).
        """
        queries, *passages = embed_columns(self.model, features, self._mini_batch_tokens, self._meter)
        losses = own_negatives_loss(queries, torch.stack(passages, dim=1), self.temperature)
        rows, all_losses = gather(labels).cpu(), gather(losses.detach()).cpu()
        check_finite(all_losses[:, None], rows)
        self._meter.add_losses(rows, all_losses)
        row_weights = self._observe(rows, all_losses)
        state = processes()
        own = row_weights.view(state.num_processes, -1)[state.process_index].to(losses.device)
        # Gradients are averaged over processes, the weights are shares of all rows: hence the factor.
        return state.num_processes * (own * losses).sum()

    def _observe(self, rows: Tensor, losses: Tensor) -> Tensor:
        tasks, reference = self.task_ids[rows], self.reference[rows]
        self._window.append((rows, tasks, losses, reference))
        last = len(self._window) == self.accumulation
        row_weights = self.weights.observe(tasks, losses, reference, last=last)
        if last:
            self.history.append(self._record())
            self.carried.index_add_(0, torch.cat([seen[0] for seen in self._window]), self.weights.row_parts.double())
            self._window = []
        return row_weights

    def _record(self) -> dict[str, list]:
        _, tasks, losses, reference = (torch.cat(values) for values in zip(*self._window, strict=True))
        weights = self.weights
        rows = torch.bincount(tasks, minlength=len(weights.current))
        return {
            "rows": rows.tolist(),
            "proxy_loss": _means(tasks, losses, rows),
            "reference_loss": _means(tasks, reference, rows),
            "measurement": weights.measurement.tolist(),
            "gradient": weights.gradient.tolist(),
            "effective_rows": weights.effective_rows.tolist(),
            "weight": weights.current.tolist(),
            "mean": weights.mean.tolist(),
            "ema": weights.ema.tolist(),
        }


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
    newest = trainer.newest_checkpoint(checkpoints)
    if newest:
        content = torch.load(newest / _STATE, weights_only=True)
        loss.weights.load_state_dict(content["weights"])
        loss.history, loss.carried = content["history"], content["carried"]


def _task_weights(initial: Mapping[str, float], where: Path, job: OptimizeJob) -> TaskWeights:
    tdro = job.tdro
    zero = [task for task, weight in initial.items() if not weight]
    if zero:
        raise UserError(f"{where}: the weight of {zero[0]!r} is 0, from which tDRO cannot start; leave the task out.")
    return TaskWeights(
        len(initial),
        initial=torch.tensor(list(initial.values())),
        step_size=tdro.step_size,
        ema=tdro.ema,
        max_grad_norm=tdro.weight_grad_norm,
        measure=tdro.measure,
        floor=tdro.floor,
        optimizer=tdro.weight_optimizer,
        clip=tdro.weight_clip,
        schedule=tdro.weight_schedule,
        steps=tdro.steps,
        smoothing=tdro.smoothing,
    )


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


def _means(tasks: Tensor, values: Tensor, rows: Tensor) -> list[float | None]:
    sums = torch.zeros(len(rows), dtype=torch.float64).index_add_(0, tasks, values.double())
    return [s / n if n else None for s, n in zip(sums.tolist(), rows.tolist(), strict=True)]


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
