"""Short trainings that stand in for many: a warm-up on all tasks alike, and an expert a task that goes on from it."""

from collections.abc import Iterable

from tdro.config import mixturenames
from tdro.config.experts import Experts
from tdro.config.mixturenames import Mixture
from tdro.config.schema import Config
from tdro.config.training import Training
from tdro.pipeline.soups import weighed

#: The training that all experts start from.
WARMUP = "warmup"


def expert(task: str) -> str:
    """The name of a task's expert among the mixtures."""
    return f"expert-{task}"


def without(task: str) -> str:
    """The mixture of all other tasks."""
    return f"without-{task}"


def asked_for(config: Config) -> list[str]:
    """The mixtures of a configuration that experts tell."""
    return [name for name in weighed(config) if mixturenames.parse(name).of_experts]


def trainings(config: Config, tasks: Iterable[str]) -> list[str]:
    """The warm-up and the experts, as mixtures; none where no mixture needs them."""
    return [WARMUP, *map(expert, tasks)] if asked_for(config) else []


def shortened(training: Training, experts: Experts, mixture: Mixture) -> Training:
    """How the warm-up and the experts are trained.

    The learning rate rises in the warm-up as in every training, and stays: experts go on with its peak, so that each
    of their steps counts alike.
    """
    share = experts.warmup if mixture.kind == WARMUP else experts.steps
    steps = max(1, round(share * training.steps))
    rise = min(training.warmup_steps, steps) if mixture.kind == WARMUP else 0
    return training.model_copy(update={"steps": steps, "warmup_steps": rise, "min_lr_ratio": 1.0})
