"""What each mixture will be, as far as it follows from the sizes of the tasks or from a file."""

from collections.abc import Mapping

from tdro.config import mixturenames
from tdro.mixtures.weights import read_weights
from tdro.pipeline.jobs import Jobs

_OF_SIZES = ("uniform", "longer", "proportional", "temperature", "unimax", "bag")


def shares(jobs: Jobs, sizes: Mapping[str, int]) -> dict[str, dict[str, float] | None]:
    """The share of each task in each mixture of a configuration; None for one that is learnt or drawn later.

    Args:
        jobs: The jobs of the configuration.
        sizes: Training queries of each task, none of them 0.
    """
    return {name: _of(jobs, name, sizes) for name in jobs.config.mixtures}


def _of(jobs: Jobs, name: str, sizes: Mapping[str, int]) -> dict[str, float] | None:
    mixture = mixturenames.parse(name)
    if mixture.kind in _OF_SIZES:
        return mixturenames.of_sizes(mixture, sizes, jobs.training_rows(name))
    if mixture.kind == "without":
        return {task: 0.0 if task == mixture.name else 1 / (len(sizes) - 1) for task in sizes}
    if mixture.kind == "file":
        weights = read_weights(jobs.weights_file(mixture.name)).weights
        return {task: weights.get(task, 0.0) for task in sizes}
    return None
