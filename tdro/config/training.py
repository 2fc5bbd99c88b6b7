"""``training``, ``tdro`` and ``sweep``: the optimisation of retrievers, and of the weights."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from tdro.config import mixturenames
from tdro.config.dimensions import Dimensions
from tdro.config.sections import Section, Share
from tdro.errors import UserError

Measure = Literal["released", "ratio", "difference", "proxy", "excess"]
Clip = Literal["norm", "value", "none"]
Schedule = Literal["constant", "linear", "cosine"]


def _mixture(name: str) -> str:
    try:
        mixturenames.parse(name)
    except UserError as error:
        raise ValueError(str(error)) from None
    return name


Mixture = Annotated[
    str, AfterValidator(_mixture), WithJsonSchema({"type": "string", "pattern": f"^({mixturenames.NAMES})$"})
]


class Optimisation(Section):
    """What every training has: AdamW, linear warm-up, cosine decay (paper, settings)."""

    steps: int = Field(1000, ge=1, description="Optimiser steps.")
    batch_size: int = Field(2048, ge=2, description="Rows an optimiser step, over all processes.")
    negatives: int = Field(1, ge=0, description="Hard negatives a row.")
    learning_rate: float = Field(1e-4, gt=0)
    min_lr_ratio: Share = Field(0.1, description="The learning rate ends at this share of its peak.")
    warmup_steps: int = Field(100, ge=0)
    weight_decay: float = Field(0.1, ge=0)
    max_grad_norm: float = Field(1.0, gt=0, description="Model gradients are clipped to this l2 norm.")
    temperature: float = Field(0.002, gt=0, description="Tau of the contrastive loss.")
    gradient_checkpointing: bool = False
    mini_batch_tokens: int | None = Field(
        None, ge=8, description="Tokens of a forward pass at most, gradients cached (GradCache); null sets no limit."
    )
    save_steps: int = Field(100, ge=1, description="Steps between checkpoints.")
    log_steps: int = Field(10, ge=1, description="Steps between log lines.")
    report_to: list[Literal["tensorboard", "wandb", "mlflow", "trackio", "comet_ml"]] = Field(
        ["tensorboard"], description="Where the figures of a training go."
    )


class Distill(Section):
    """A retriever learns the cross-encoder's scores of a row's own passages beside the contrastive loss."""

    weight: float = Field(0.5, gt=0, le=1, description="Share of the divergence in the loss; the rest is contrastive.")
    temperature: float = Field(1.0, gt=0, description="T of the cross-encoder's softmax; larger is softer.")


class Training(Optimisation):
    """Baseline and retraining: one task a step, in-batch negatives."""

    matryoshka: Dimensions = Field(
        [],
        description="Dimensions that the loss is taken at, each with its embeddings cut and scaled to unit length anew "
        "(Matryoshka), such as [768, 256, 64]; none takes whole embeddings.",
    )
    distill: Distill | None = Field(
        None, description="Also learn the scores of `mining.rescore`, see there; null learns from the rows alone."
    )
    card_examples: int = Field(
        0, ge=0, description="Training rows of each task that the model's card shows, texts and all; 0 shows none."
    )

    @model_validator(mode="after")
    def _passages_to_compare(self) -> Self:
        if self.distill and not self.negatives:
            raise ValueError("distill compares a positive with hard negatives; set negatives to 1 or more")
        return self


class Tdro(Optimisation):
    """tDRO: all tasks in every step, own hard negatives only, weights learnt beside the proxy."""

    negatives: int = Field(7, ge=1, description="Hard negatives a row.")
    rows: Literal["fresh", "same"] = Field(
        "fresh",
        description="`fresh`: rows that the baseline has not drawn, while a task has any; `same`: its first ones.",
    )
    accumulation: int = Field(4, ge=1, description="Micro-batches a step; the measurement is averaged over them.")
    step_size: float = Field(0.02, gt=0, description="Eta: step size of the ascent on the log weights.")
    weight_optimizer: Literal["sgd", "adamw", "rmsprop", "adagrad"] = Field(
        "sgd", description="Optimiser of the log weights; plain ascent is the paper's."
    )
    weight_schedule: Schedule = Field(
        "constant", description="How `step_size` falls over the steps: not at all, or to 0 by a line or half a cosine."
    )
    weight_clip: Clip = Field(
        "norm", description="What `weight_grad_norm` limits: the measurement vector's l2 norm, each value, or nothing."
    )
    weight_grad_norm: float = Field(1.0, gt=0, description="Limit of the measurement vector, see `weight_clip`.")
    ema: Share = Field(0.1, description="Share of the newest weights in the exponential moving average.")
    measure: Measure = Field("released", description="Loss measurement of a task, see docs/algorithm.md.")
    floor: float = Field(1e-4, gt=0, description="Normalised reference losses below it count as 1 (`released` only).")
    smoothing: float = Field(0, ge=0, lt=1, description="Share of uniform weights mixed in after each step.")
    sampling: Mixture = Field("uniform", description="Mixture that the rows of tDRO are sampled by; not a learnt one.")
    initial: Mixture = Field("uniform", description="Mixture that the weights start from; not a learnt one.")

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        if self.batch_size % self.accumulation:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of accumulation {self.accumulation}")
        for key in ("sampling", "initial"):
            if mixturenames.parse(getattr(self, key)).learnt:
                raise ValueError(f"{key} {getattr(self, key)!r} is learnt by tDRO itself; name one that is not")
        return self


class Sweep(Section):
    """Further runs of tDRO over the same plan and reference losses: each measure with each step size."""

    step_size: list[Annotated[float, Field(gt=0)]] = Field([], description="Step sizes; none takes that of `tdro`.")
    measure: list[Measure] = Field([], description="Measures; none takes that of `tdro`.")

    def variants(self, tdro: Tdro) -> dict[str, Tdro]:
        """The settings of each run, by its name ``MEASURE-STEP``."""
        if not (self.step_size or self.measure):
            return {}
        return {
            f"{measure}-{step_size:g}": tdro.model_copy(update={"measure": measure, "step_size": step_size})
            for measure in self.measure or [tdro.measure]
            for step_size in self.step_size or [tdro.step_size]
        }
