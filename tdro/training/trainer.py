"""What baseline training, retraining and tDRO share: sentence-transformers' trainer on a plan.

The trainer runs under ``accelerate launch``, which starts one process a GPU. The batch of step s is
the plan's rows of step s, whatever the number of processes.
"""

import logging
import math
import os
import shutil
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from accelerate.utils import gather
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import DefaultBatchSampler
from torch.utils.data import SequentialSampler
from tqdm import tqdm
from transformers import PrinterCallback, Trainer, TrainerCallback

from tdro.artifacts.files import digest, read_json, stamps, write_json
from tdro.artifacts.fulldisk import naming
from tdro.artifacts.versions import of_stage
from tdro.config.models import Encoding
from tdro.config.sections import Section
from tdro.config.training import Optimisation
from tdro.errors import Unfinished, UserError
from tdro.models.cuts import CountingCollator, say
from tdro.models.load import network_of
from tdro.models.precision import supports_bf16
from tdro.models.processes import PATIENCE, agreed, device, processes
from tdro.models.unused import freeze_unused
from tdro.training.batches import Texts, columns, dataset
from tdro.training.meter import Meter

log = logging.getLogger(__name__)

_COMPLETE = "complete"
_WEIGHTS = "weights.safetensors"
_IDENTITY = "run.json"


def run(
    model: SentenceTransformer,
    loss: torch.nn.Module,
    plan: pa.Table,
    texts: Texts,
    meter: Meter,
    *,
    optimisation: Optimisation,
    encoding: Encoding,
    checkpoints: Path,
    tensorboard: Path,
    seed: int,
    accumulation: int = 1,
    callbacks: tuple[TrainerCallback, ...] = (),
) -> dict[str, torch.Tensor] | None:
    """Train ``model`` in place on every step of ``plan``.

    Starts at the newest complete checkpoint below ``checkpoints`` if there is one.

    Args:
        model: The retriever.
        loss: Called with the features of query, positive and negatives, and the rows' numbers in the plan.
        plan: Table of schema ``PLAN``.
        texts: The texts of its rows.
        meter: What ``loss`` tells; shown beside the loss.
        optimisation: Schedule, optimiser and checkpointing.
        encoding: Precision.
        checkpoints: Folder of checkpoints; kept when the process is killed.
        tensorboard: Folder for TensorBoard's event files.
        seed: Of dropout.
        accumulation: Micro-batches an optimiser step.
        callbacks: Called beside ours.

    Returns:
        The whole weights by name, on the main process, of a model that FSDP or ZeRO has split over the processes; None
        where ``model`` itself holds them.

    Raises:
        Unfinished: when SIGTERM or SIGUSR1 came; the checkpoint of the step is written by then.
    """
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(tensorboard)
    freeze_unused(model)
    model.model_card_data.generate_widget_examples = False  # our card shows none (tdro.training.card)
    trainer = _Trainer(
        meter,
        model=model,
        args=_arguments(optimisation, encoding, checkpoints, seed, accumulation),
        train_dataset=dataset(plan, texts),
        loss=loss,
        callbacks=[*callbacks, _Progress(), _MarkComplete(), _StopOnSignal()],
    )
    if trainer.args.n_gpu > 1:
        raise UserError("several GPUs need one process each; start this command through `accelerate launch`.")
    trainer.remove_callback(PrinterCallback)
    trainer.data_collator = CountingCollator(trainer.data_collator, model, meter.add_cuts)
    newest = newest_checkpoint(checkpoints)
    if newest:
        log.info("resuming from %s", newest)
    trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    for task, (cut, read) in meter.cuts().items():
        say(task, cut, read)
    if trainer.state.global_step < optimisation.steps:
        raise Unfinished(
            f"stopped by a signal after step {trainer.state.global_step} of {optimisation.steps}; "
            "run the same command again to go on from there."
        )
    return trainer.accelerator.get_state_dict(trainer.model_wrapped) if trainer.is_split else None


class _Arguments(SentenceTransformerTrainingArguments):
    """Arguments on the device of this process, also those that the library makes to compare ours with its defaults."""

    def __post_init__(self) -> None:
        self.use_cpu = device().type == "cpu"
        super().__post_init__()


class _Trainer(SentenceTransformerTrainer):
    """Logs what the meter has counted; its checkpoints hold the trained weights alone."""

    training_args_class = _Arguments

    def __init__(self, meter: Meter, **others) -> None:
        super().__init__(**others)
        self._meter = meter
        if self.is_fsdp_enabled:  # a SentenceTransformer does not say which layers belong together, its network does
            network = network_of(self.model)
            if network is None:
                raise UserError("a static embedding is too small to be split by FSDP; use `accelerate: auto`.")
            layers = list(network._no_split_modules)
            self.accelerator.state.fsdp_plugin.transformer_cls_names_to_wrap = layers
            self.model.base_model_prefix = "transformers_model"  # accelerate looks for the last norm there

    @property
    def is_split(self) -> bool:
        """Whether the weights lie in parts on the processes."""
        return self.is_fsdp_enabled or self.is_deepspeed_enabled

    def compute_loss(self, model, inputs, *arguments, **others):
        """As the parent class, which leaves the bare model in the loss where FSDP has wrapped it."""
        if self.is_fsdp_enabled:
            self.loss = self.override_model_in_loss(self.loss, model)
        return super().compute_loss(model, inputs, *arguments, **others)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs = logs | self._meter.read()
        super().log(logs, start_time)

    def _save_checkpoint(self, *arguments, **others) -> None:
        with naming(self.args.output_dir):
            super()._save_checkpoint(*arguments, **others)

    def _save(self, output_dir: str | None = None, state_dict=None) -> None:
        # FSDP and DeepSpeed write checkpoints of their own beside.
        if not self.is_split:
            trained = {name: value.detach() for name, value in self.model.named_parameters() if value.requires_grad}
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            save_file(trained, Path(output_dir) / _WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        if self.is_split:
            Trainer._load_from_checkpoint(self, resume_from_checkpoint, model)
        else:
            self.model.load_state_dict(load_file(Path(resume_from_checkpoint) / _WEIGHTS), strict=False)


def check_plan(plan: pa.Table, where: Path, optimisation: Optimisation, *, mixed: bool) -> None:
    """Check that a plan holds the batches that the settings speak of.

    Raises:
        UserError: naming ``where`` and what differs.
    """
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
        raise UserError(f"{where} {problem}; make the plan anew with the settings of this run.")


def keep_if_same(checkpoints: Path, job: Section, files: Iterable[Path], large: Iterable[Path], *, stage: str) -> None:
    """Remove the checkpoints of a run with other settings, input files, code or libraries; keep those of this run.

    Args:
        checkpoints: Folder of checkpoints; may not exist yet.
        job: The settings.
        files: Inputs that decide the computation, told apart by their content.
        large: Further such inputs, told apart by size and time of change.
        stage: The module whose code and libraries count.

    Raises:
        UserError: when ``checkpoints`` is a folder of something else.
    """
    if processes().is_main_process:
        inputs: list = [digest(file) for file in files]
        inputs += stamps(large)
        made_by = of_stage(stage)._asdict()
        _claim(checkpoints, {"settings": job.model_dump(mode="json"), "inputs": inputs, **made_by})
    processes().wait_for_everyone()


def _claim(checkpoints: Path, identity: dict) -> None:
    known = checkpoints / _IDENTITY
    if known.is_file():
        before = read_json(known)
        if before == identity:
            return
        other = ", ".join(key for key, value in identity.items() if before.get(key) != value)
        log.info("%s belongs to a run with other %s; starting afresh", checkpoints, other)
        shutil.rmtree(checkpoints)
    elif checkpoints.exists() and any(checkpoints.iterdir()):
        raise UserError(f"{checkpoints} holds something else than checkpoints; name a folder that is empty or new.")
    write_json(known, identity)


def newest_checkpoint(checkpoints: Path) -> Path | None:
    """The checkpoint with most steps whose files were all written, as the main process sees it; all call this."""
    complete = [c.parent for c in checkpoints.glob(f"checkpoint-*/{_COMPLETE}")]
    return agreed(max(complete, key=lambda c: int(c.name.rpartition("-")[2]), default=None))


def _arguments(
    optimisation: Optimisation, encoding: Encoding, checkpoints: Path, seed: int, accumulation: int
) -> _Arguments:
    kind = device().type
    return _Arguments(
        output_dir=str(checkpoints),
        max_steps=optimisation.steps,
        per_device_train_batch_size=_rows_per_process(optimisation.batch_size, accumulation),
        gradient_accumulation_steps=accumulation,
        learning_rate=optimisation.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": optimisation.min_lr_ratio},
        warmup_steps=optimisation.warmup_steps,
        weight_decay=optimisation.weight_decay,
        max_grad_norm=optimisation.max_grad_norm,
        optim="adamw_torch_fused",
        activation_checkpointing=optimisation.gradient_checkpointing,
        bf16=encoding.precision == "bf16" and supports_bf16(kind),
        dataloader_pin_memory=kind != "cpu",  # pinning takes memory of a GPU even where none is used
        ddp_timeout=int(PATIENCE.total_seconds()),
        batch_sampler=_in_plan_order,
        router_mapping={name: "query" if name == "query" else "document" for name in columns(optimisation.negatives)},
        seed=seed,
        save_steps=optimisation.save_steps,
        save_total_limit=2,
        logging_steps=optimisation.log_steps,
        logging_nan_inf_filter=False,
        report_to=optimisation.report_to,
        disable_tqdm=True,
        remove_unused_columns=False,
        # A step has several forward passes (tdro.training.forward); buffers never change, and need not be sent at each.
        ddp_broadcast_buffers=False,
        ddp_find_unused_parameters=False,  # every parameter is used
    )


def _rows_per_process(batch_size: int, accumulation: int) -> int:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    rows, rest = divmod(batch_size, processes * accumulation)
    if rest or not rows:
        raise UserError(
            f"batch_size {batch_size} is not a multiple of {processes} processes x {accumulation} micro-batches; "
            "change `batch_size` or `accumulation` of the config, or the number of GPUs (CUDA_VISIBLE_DEVICES)."
        )
    return rows


def _in_plan_order(rows, batch_size: int, drop_last: bool, **others) -> DefaultBatchSampler:
    """Rows as the plan has them: accelerate deals consecutive batches out to the processes."""
    return DefaultBatchSampler(SequentialSampler(rows), batch_size=batch_size, drop_last=drop_last, **others)


class _Progress(TrainerCallback):
    """A line every few steps: loss, learning rate, steps a second, time left."""

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self._start, self._first = time.monotonic(), state.global_step

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if "loss" not in (logs or {}):
            return
        if not math.isfinite(float(logs["loss"])):
            raise UserError(
                f"the loss of step {state.global_step} is not finite; lower `learning_rate` or raise `temperature`. "
                "Checkpoints of earlier steps are kept."
            )
        if state.is_world_process_zero:
            done, elapsed = state.global_step - self._first, time.monotonic() - self._start
            meter = tqdm.format_meter(done, state.max_steps - self._first, elapsed, unit="step", ncols=0)
            log.info("loss %.4f  lr %.2e  %s", float(logs["loss"]), float(logs["learning_rate"]), meter)


class _MarkComplete(TrainerCallback):
    """Marks a checkpoint once all files of all processes are there; a resume passes over unmarked ones."""

    def on_save(self, args, state, control, **kwargs) -> None:
        processes().wait_for_everyone()
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _COMPLETE).touch()


class _StopOnSignal(TrainerCallback):
    """On SIGTERM or SIGUSR1: a checkpoint at the end of the step, and no further step."""

    _SIGNALS = (signal.SIGTERM, signal.SIGUSR1)

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self._asked = False
        self._before = {number: signal.signal(number, self._ask) for number in self._SIGNALS}

    def _ask(self, number, frame) -> None:
        self._asked = True

    def on_step_end(self, args, state, control, **kwargs) -> None:
        # One process may see the signal a step before the others: all must stop after the same step.
        asked = gather(torch.tensor([self._asked], dtype=torch.int32, device=args.device))
        if asked.any():
            control.should_save = control.should_training_stop = True

    def on_train_end(self, args, state, control, **kwargs) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
