"""What an average of models is made of: stored models that are alike, maybe with the base that they come from."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tdro.config.soups import Method
from tdro.errors import UserError
from tdro.models.alike import check_alike, check_base
from tdro.models.average import METHODS
from tdro.models.stored import StoredModel


class Ingredients:
    """Stored models and what their tensors average to.

    Args:
        models: SentenceTransformer folders.
        base: The model that they were trained from, to mix in.

    Attributes:
        first: The first model.
        names: What tells the models apart, without where they lie: ``curr``, or ``seed1/curr``; the base comes last.

    Raises:
        UserError: when they differ in more than the values of their weights.
    """

    def __init__(self, models: Sequence[Path], base: Path | None = None) -> None:
        self._stored = [StoredModel(folder) for folder in (*models, *([base] if base else []))]
        self.first, self._trained, self._has_base = self._stored[0], len(models), base is not None
        for other in self._stored[1 : len(models)]:
            check_alike(self.first, other)
        if base:
            check_base(self.first, self._stored[-1])
        self.names = [*_names(models), *(["base"] if base else [])]

    def shares(self, share: float | None = None, weights: Sequence[float] | None = None) -> tuple[float, ...]:
        """Weight of each of them in an average; they sum to 1.

        Args:
            share: Part that the trained models have beside the base; None where there is no base.
            weights: Weights of the trained models, made to sum to that; None: all alike.
        """
        given = list(weights) if weights is not None else [1.0] * self._trained
        trained = 1.0 if share is None else share
        return (*(trained * weight / sum(given) for weight in given), *([1 - trained] if self._has_base else []))

    def alone(self) -> list[tuple[float, ...]]:
        """The averages that are one of them each."""
        number = len(self.names)
        return [tuple(float(at == place) for at in range(number)) for place in range(number)]

    def averaged(self, part: str, name: str, shares: Sequence[float], method: Method) -> Tensor:
        """A tensor of the average; what has no share in it is not read.

        Raises:
            UserError: where it holds whole numbers and these differ.
        """
        used = [(model, share) for model, share in zip(self._stored, shares, strict=True) if share]
        first = used[0][0].read(part, name)
        if first.is_floating_point():
            return METHODS[method]((model.read(part, name) for model, _ in used), [share for _, share in used])
        for other, _ in used[1:]:
            if not torch.equal(first, other.read(part, name)):
                raise UserError(
                    f"{used[0][0].folder} and {other.folder} differ in {name}, whose whole numbers have no average; "
                    "merge models that were trained from one base."
                )
        return first


def _names(models: Sequence[Path]) -> list[str]:
    paths = [model.resolve() for model in models]
    paths = [path.parent if path.name == "model" else path for path in paths]
    if len(set(paths)) < len(paths):
        return [f"{path.name} ({number})" for number, path in enumerate(paths, 1)]
    root = Path(os.path.commonpath([path.parent for path in paths]))
    return [path.relative_to(root).as_posix() for path in paths]
