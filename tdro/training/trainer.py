"""What baseline training, retraining and tDRO share: sentence-transformers' trainer on a plan.

The trainer runs under ``accelerate launch``, which starts one process a GPU. The batch of step s is
the plan's rows of step s, whatever the number of processes.

Beside a GPU, workers look texts up and tokenise them ahead of the steps. In a step the host hands its device work and
waits for nothing that the device has computed; what is to be known of it, such as whether a loss is finite, is looked
at every few steps and before a checkpoint. (The weights of tDRO are the exception: :mod:`tdro.dro.loss`.)
"""

import logging
import math
import os
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import DefaultBatchSampler
from torch.utils.data import DataLoader, SequentialSampler
from tqdm import tqdm
from transformers import PrinterCallback, Trainer, TrainerCallback

from tdro.artifacts.fulldisk import naming
from tdro.config.training import Optimisation
from tdro.errors import Unfinished, UserError
from tdro.models.cuts import say
from tdro.models.networks import network_of
from tdro.models.precision import supports_bf16
from tdro.models.processes import PATIENCE, device, processes
from tdro.models.weights import freeze_unused
from tdro.progress import FIRST
from tdro.training import checkpoints
from tdro.training.batches import dataset
from tdro.training.collate import Batch, Collator
from tdro.training.finite import check_weights
from tdro.training.learner import Learner
from tdro.training.meter import Meter
from tdro.training.workers import WORKERS, begin

log = logging.getLogger(__name__)

_WEIGHTS = "weights.safetensors"


def run(
    learner: Learner,
    loss: torch.nn.Module,
    optimisation: Optimisation,
    accumulation: int = 1,
    callbacks: tuple[TrainerCallback, ...] = (),
) -> dict[str, torch.Tensor] | None:
    """Train the model of ``learner`` in place on every step of its plan.

    Starts at the newest complete checkpoint if there is one.

    Args:
        learner: The model, its plan and its folders; checkpoints are kept when the process is killed.
        loss: Called with the features of query, positive and negatives, and the rows' numbers in the plan.
        optimisation: Schedule, optimiser and checkpointing.
        accumulation: Micro-batches an optimiser step.
        callbacks: Called beside ours.

    Returns:
        The whole weights by name, on the main process, of a model that FSDP or ZeRO has split over the processes; None
        where the model itself holds them.

    Raises:
        UserError: when the base has weights, or a row has a loss, that are not finite.
        Unfinished: when a signal came that ends a training; the checkpoint of the step is written by then.
    """
    model, meter = learner.model, learner.meter
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(learner.places.tensorboard)
    if (network := network_of(model)) is not None:  # a static embedding has none
        freeze_unused(network)
    model.model_card_data.generate_widget_examples = False  # our card shows none (tdro.training.card)
    trainer = _Trainer(
        meter,
        model=model,
        args=_arguments(learner, optimisation, accumulation),
        data_collator=Collator(model, optimisation.mini_batch_tokens, device().type),
        train_dataset=dataset(learner.rows, learner.texts),
        loss=loss,
        callbacks=[*callbacks, _Progress()],
    )
    if trainer.args.n_gpu > 1:
        raise UserError("several GPUs need one process each; start this command through `accelerate launch`.")
    trainer.remove_callback(PrinterCallback)
    newest = checkpoints.newest_checkpoint(learner.places.checkpoints)
    if newest:
        log.info("resuming from %s", newest)
    elif processes().is_main_process:  # which has read the weights, whoever holds them then
        check_weights(model.named_parameters(), f"the base {learner.job.model.base}")
    with checkpoints.saving() as saving:
        for callback in saving:
            trainer.add_callback(callback)
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    meter.check()  # the steps behind the last that was logged
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
    """Trains on whole batches, logs what the meter has counted; its checkpoints hold the trained weights alone."""

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

    def _build_dataloader(self, *arguments, **others) -> DataLoader:
        loader = super()._build_dataloader(*arguments, **others)
        if loader.num_workers:
            loader.multiprocessing_context = "fork"  # texts are looked up by functions that cannot be pickled
            loader.worker_init_fn = begin
        return loader

    def collect_features(self, inputs: dict[str, Any]) -> tuple[Batch, list[int]]:
        """A batch and the numbers of its rows, out of what :class:`Collator` has made."""
        self._meter.add_cuts(inputs["rows"], inputs["cuts"])
        return Batch(**{name: inputs[name] for name in Batch._fields}), inputs["rows"]

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
        self._meter.check()
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


def _arguments(learner: Learner, optimisation: Optimisation, accumulation: int) -> _Arguments:
    kind = device().type
    return _Arguments(
        output_dir=str(learner.places.checkpoints),
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
        bf16=learner.job.encoding.precision == "bf16" and supports_bf16(kind),
        dataloader_pin_memory=kind != "cpu",  # pinning takes memory of a GPU even where none is used
        dataloader_num_workers=(workers := WORKERS.get(kind, 0)),
        dataloader_prefetch_factor=2 if workers else None,
        accelerator_config={"non_blocking": kind != "cpu"},
        ddp_timeout=int(PATIENCE.total_seconds()),
        batch_sampler=_in_plan_order,
        seed=learner.job.seed,
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
    """A line every few steps: loss, learning rate, steps a second, time left, which is told as soon as it is known."""

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self._start, self._first, self._told = time.monotonic(), state.global_step, False
        if state.is_world_process_zero:
            log.info("%d steps begin", state.max_steps - self._first)

    def on_step_end(self, args, state, control, **kwargs) -> None:
        if not self._told and state.is_world_process_zero and time.monotonic() - self._start >= FIRST:
            self._told = True
            log.info("%s", self._meter(state))

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        if "loss" not in (logs or {}):
            return
        if not math.isfinite(float(logs["loss"])):
            raise UserError(
                f"the loss of step {state.global_step} is not finite; lower `learning_rate` or raise `temperature`. "
                "Checkpoints of earlier steps are kept."
            )
        if state.is_world_process_zero:
            self._told = True
            loss, rate = float(logs["loss"]), float(logs["learning_rate"])
            log.info("loss %.4f  lr %.2e  %s", loss, rate, self._meter(state))

    def _meter(self, state) -> str:
        done, elapsed = state.global_step - self._first, time.monotonic() - self._start
        return tqdm.format_meter(done, state.max_steps - self._first, elapsed, unit="step", ncols=0)
