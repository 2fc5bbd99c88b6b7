"""Mixtures: which share of the training rows each task gets, as JSON that the released code reads too.

Keys of a weights file: ``domain_ids`` (task to number), ``domain_weights`` (sum 1), ``size``
(training rows of each task) and ``epoch`` (weight x all rows / rows of the task: passes over the
task when as many rows are trained on as there are).
"""

from dataclasses import dataclass
from pathlib import Path

from tdro.artifacts.files import read_given_json, write_json
from tdro.artifacts.seals import advice
from tdro.errors import UserError

#: Weights files hold float32 values, whose sum is not exactly 1.
TOLERANCE = 1e-3
# No number of a weights file is as large: rows of a task least of all. JSON may hold some that no float can.
_LARGE = 10**15


@dataclass(frozen=True)
class Weights:
    """Weights and training rows by task, in the order of the tasks' numbers."""

    weights: dict[str, float]
    sizes: dict[str, int]

    def passes(self, rows: int | None = None) -> dict[str, float]:
        """Passes over each task when ``rows`` rows are trained on; all tasks' rows when None."""
        rows = sum(self.sizes.values()) if rows is None else rows
        return {task: weight * rows / self.sizes[task] for task, weight in self.weights.items()}


def read_weights(path: str | Path) -> Weights:
    """Read and check a weights JSON, ours or the released ones.

    Raises:
        UserError: when a key is missing, a weight is negative or no number, or they do not sum to 1.
    """
    content = read_given_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("domain_weights"), dict):
        said = "has no key `domain_weights`; a weights file maps each task to its weight there."
        raise UserError(f"{path} {said}{advice(path)}")
    weights, sizes = content["domain_weights"], content.get("size")
    for task, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < _LARGE:
            raise UserError(f"{path}: the weight of {task!r} is {weight!r}; expected a number from 0 to 1.")
    if abs(sum(weights.values()) - 1) > TOLERANCE:
        raise UserError(f"{path}: the weights sum to {sum(weights.values()):.6g}; they must sum to 1.")
    if not isinstance(sizes, dict) or any(
        not isinstance(sizes.get(t), int) or not 0 < sizes[t] < _LARGE for t in weights
    ):
        raise UserError(f"{path}: `size` must give the number of training rows, at least 1, of each weighted task.")
    return Weights({t: float(w) for t, w in weights.items()}, {t: sizes[t] for t in weights})


def write_weights(path: str | Path, weights: Weights) -> None:
    """Write a weights JSON."""
    write_json(
        path,
        {
            "domain_ids": {task: number for number, task in enumerate(weights.weights)},
            "domain_weights": weights.weights,
            "size": weights.sizes,
            "epoch": weights.passes(),
        },
    )
