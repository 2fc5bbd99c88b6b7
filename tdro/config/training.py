"""``training``, ``tdro`` and ``sweep``: the optimisation of retrievers, and of the weights."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from tdro.config import mixturenames
from tdro.config.dimensions import Dimensions
from tdro.config.sections import Section, Share, Unwatched
from tdro.errors import UserError

Measure = Literal["released", "ratio", "difference", "proxy", "excess"]
Clip = Literal["norm", "value", "none"]
Schedule = Literal["constant", "linear", "cosine"]


def _mixture(name: str) -> str:
    try:
        mixture = mixturenames.parse(name)
    except UserError as error:
        raise ValueError(str(error)) from None
    if mixture.unlisted:
        raise ValueError(f"{name!r} is trained where mergemix, transfer or prune is a mixture; name one of these")
    return name


Mixture = Annotated[
    str, AfterValidator(_mixture), WithJsonSchema({"type": "string", "pattern": f"^({mixturenames.NAMES})$"})
]


class Optimisation(Section):
    """What every training has: AdamW, linear warm-up, cosine decay (paper, settings)."""

    steps: int = Field(1000, ge=1)
    """Optimiser steps."""
    batch_size: int = Field(2048, ge=2)
    """Rows an optimiser step, over all processes; in `training` also the number of queries each positive competes
    among."""
    negatives: int = Field(1, ge=0)
    """Hard negatives a row."""
    learning_rate: float = Field(1e-4, gt=0)
    """Peak of the learning rate."""
    min_lr_ratio: Share = 0.1
    """The cosine decay ends at this share of the peak."""
    warmup_steps: int = Field(100, ge=0)
    """Optimiser steps of the linear rise to the peak."""
    weight_decay: float = Field(0.1, ge=0)
    """Of AdamW."""
    max_grad_norm: float = Field(1.0, gt=0)
    """The model's gradient is clipped to this l2 norm."""
    temperature: float = Field(0.002, gt=0)
    """Tau of the contrastive loss; larger is softer."""
    gradient_checkpointing: Annotated[bool, Unwatched] = False
    """Compute activations twice instead of storing them: less memory, more time."""
    mini_batch_tokens: Annotated[int | None, Unwatched] = Field(None, ge=8)
    """Tokens of a forward pass at most, padding included. A batch above it goes through the model in pieces, twice
    (GradCache): memory is that of a piece, the result the same. Null holds the whole batch of a process."""
    save_steps: Annotated[int, Unwatched] = Field(100, ge=1)
    """Optimiser steps between checkpoints; one is written every two minutes as well. A job that was stopped goes on
    from the last one."""
    log_steps: Annotated[int, Unwatched] = Field(10, ge=1)
    """Optimiser steps between log lines, and between the points of the curves."""
    report_to: Annotated[list[Literal["tensorboard", "wandb", "mlflow", "trackio", "comet_ml"]], Unwatched] = Field(
        ["tensorboard"]
    )
    """Where loss, loss of each task, learning rate, gradient norm, tokens a second, padding and memory go. All but
    TensorBoard need their own package and an account."""


class Distill(Section):
    """A retriever learns the cross-encoder's scores of a row's own passages beside the contrastive loss."""

    weight: float = Field(0.5, gt=0, le=1)
    """Share of the divergence from the cross-encoder in the loss of a row; the contrastive loss has the rest."""
    temperature: float = Field(1.0, gt=0)
    """The cross-encoder's scores are divided by it before their softmax; larger is softer."""


class Training(Optimisation):
    """Baseline and retraining: one task a step, in-batch negatives."""

    matryoshka: Dimensions = Field([])
    """With `[768, 256, 64]` the first 256 and the first 64 numbers of an embedding are trained to serve by themselves:
    the loss is taken at each of these dimensions, the largest first, and added up. Write the model's own dimension
    first. None may be above it. `[]` trains whole embeddings only."""
    distill: Distill | None = None
    """Also learn the scores of `mining.rescore`; null learns from the rows alone."""
    card_examples: int = Field(0, ge=0)
    """Rows of each task that the card of a trained model shows, texts and all; 0 shows none, so that no text of the
    training leaves with a model or a package."""

    @model_validator(mode="after")
    def _passages_to_compare(self) -> Self:
        if self.distill and not self.negatives:
            raise ValueError("distill compares a positive with hard negatives; set negatives to 1 or more")
        return self


class Tdro(Optimisation):
    """tDRO: all tasks in every step, own hard negatives only, weights learnt beside the proxy."""

    negatives: int = Field(7, ge=1)
    """Hard negatives a row."""
    rows: Literal["fresh", "same", "dev"] = "fresh"
    """Which rows of a task are drawn: first those that the baseline has not drawn, those that it drew first, as in the
    released code, or its dev rows, which no training draws (docs/algorithm.md)."""
    accumulation: int = Field(4, ge=1)
    """Micro-batches a step; must divide `batch_size`. The loss of the tasks is averaged over them."""
    step_size: float = Field(0.02, gt=0)
    """Eta: how far the log weights move a step."""
    weight_optimizer: Literal["sgd", "adamw", "rmsprop", "adagrad"] = "sgd"
    """Optimiser of the log weights. `sgd` is plain ascent, as in the paper; the others scale each task's step by its
    own history."""
    weight_schedule: Schedule = "constant"
    """How `step_size` falls over the steps: not at all, or to 0 along a line or half a cosine."""
    weight_clip: Clip = "norm"
    """What `weight_grad_norm` limits: the l2 norm of the vector of measured losses, each value in it, or nothing."""
    weight_grad_norm: float = Field(1.0, gt=0)
    """The limit. With `sgd` and `norm` no step moves the log weights further than `step_size` times it."""
    ema: Share = 0.1
    """Share of the newest weights in the moving average (mixture `ema`)."""
    measure: Measure = "released"
    """How the loss of a task is measured: as in the released code, by the paper's formula, by its two ablations, or as
    DoReMi has it (docs/algorithm.md)."""
    floor: float = Field(1e-4, gt=0)
    """Reference losses below this share of the batch's sum count as 1; `released` only."""
    smoothing: float = Field(0, ge=0, lt=1)
    """Share of the uniform weights mixed in after each step, so that no task is lost for good."""
    sampling: Mixture = "uniform"
    """What the rows of tDRO are sampled by: any mixture that is not learnt, such as `proportional` or `file-NAME`."""
    initial: Mixture = "uniform"
    """What the weights start from, likewise."""

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        if self.batch_size % self.accumulation:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of accumulation {self.accumulation}")
        for key in ("sampling", "initial"):
            mixture = mixturenames.parse(getattr(self, key))
            if mixture.learnt:
                raise ValueError(f"{key} {getattr(self, key)!r} is learnt by tDRO itself; name one that is not")
            if mixture.of_experts or mixture.of_others or mixture.kind == "bag":
                raise ValueError(f"{key} {getattr(self, key)!r} is no plain share of each task; name `uniform` or such")
        return self


class Sweep(Section):
    """Further runs of tDRO over the same plan and reference losses: each measure with each step size."""

    step_size: list[Annotated[float, Field(gt=0)]] = Field([])
    """Step sizes; with none, that of `tdro`."""
    measure: list[Measure] = Field([])
    """Measures; with none, that of `tdro`."""

    def variants(self, tdro: Tdro) -> dict[str, Tdro]:
        """The settings of each run, by its name ``MEASURE-STEP``."""
        if not (self.step_size or self.measure):
            return {}
        return {
            f"{measure}-{step_size:g}": tdro.model_copy(update={"measure": measure, "step_size": step_size})
            for measure in self.measure or [tdro.measure]
            for step_size in self.step_size or [tdro.step_size]
        }
