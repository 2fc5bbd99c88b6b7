"""What soups scored on dev queries: which share of the trained models is best, and whether one lies between basins.

read(Path("soup-half/soup.json")).chosen
"""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from tdro.artifacts.files import read_json
from tdro.config.sections import Section, parse

# Means that differ by less are the same: sums of the same numbers, added up otherwise.
_SAME = 1e-9


class DevMeans(Section):
    """Means over the datasets, of the means over the dev queries of each."""

    loss: float
    reciprocal_rank: float = Field(ge=0, le=1)


class Tried(DevMeans):
    """A soup with a share."""

    share: float | None = Field(gt=0, le=1)
    """Part of the trained models beside the base; null for a soup without it."""


class SoupScores(Section):
    """A ``soup.json``."""

    datasets: list[str] = Field(min_length=1)
    """What the dev queries are of."""
    ingredients: dict[str, DevMeans] = Field(min_length=1)
    """The models that are averaged, by themselves; `base` is that before training."""
    soups: list[Tried] = Field(min_length=1)
    """Their averages, one a share."""
    chosen: float | None
    """The share of the model that is written."""

    @model_validator(mode="after")
    def _chosen_is_among_them(self) -> Self:
        if self.chosen not in [soup.share for soup in self.soups]:
            raise ValueError(f"chosen {self.chosen} is none of the shares")
        return self

    @property
    def best(self) -> Tried:
        """The soup that was chosen."""
        return next(soup for soup in self.soups if soup.share == self.chosen)

    @property
    def worst(self) -> str:
        """The ingredient with the highest dev loss."""
        return max(self.ingredients, key=lambda name: self.ingredients[name].loss)

    @property
    def between_basins(self) -> bool:
        """Whether the soup's dev loss is above that of its worst ingredient."""
        return self.best.loss > self.ingredients[self.worst].loss + _SAME


def choose(soups: list[Tried]) -> float | None:
    """The share of the highest reciprocal rank; of equal ones the larger share.

    By rank, as what is reported is: a loss at a temperature near 0.01 is decided by the few queries that a model gets
    wrong, and it rises where the base, which nobody trained at this temperature, has cosines on another scale.
    """
    highest = max(soup.reciprocal_rank for soup in soups)
    return max((soup for soup in soups if soup.reciprocal_rank > highest - _SAME), key=lambda s: s.share or 0).share


def read(path: str | Path) -> SoupScores:
    """What ``tdro soup-scores`` wrote.

    Raises:
        UserError: for a missing or wrong file.
    """
    return parse(SoupScores, read_json(path), str(path))
