"""``experts``: short trainings, one a task, that stand in for trainings on many mixtures."""

from typing import Annotated

from pydantic import Field

from tdro.config.sections import Section

_Part = Annotated[float, Field(gt=0, le=1)]


class Experts(Section):
    """Short trainings of the proxy that foretell many mixtures, for `mergemix`, `transfer` and `prune`."""

    warmup: _Part = 0.15
    """Share of a training's steps that the warm-up takes."""
    steps: _Part = 0.15
    """Share of a training's steps that each expert takes beyond it."""
    rho: _Part = 0.5
    """An expert draws this share of its rows from its own task; the others are of all tasks alike, its own among them.
    With a small one, mixtures are told apart that lie near to `uniform`; no mixture that gives a task less than
    (1 - rho) / K can be told of, for K tasks."""
    candidates: int | None = Field(None, ge=1)
    """Mixtures that are measured; null takes four a task, at least 40. The experts themselves, and all but one of them,
    are measured in any case."""
    passes: float = Field(4.0, gt=0)
    """`mergemix` lets a training go over a task so often at most."""
    penalty: float = Field(0.05, gt=0)
    """Strength that holds `mergemix` near to `uniform`, where the measured losses tell little."""
    eta: float = Field(2.0, ge=0)
    """How far apart `transfer` sets the tasks: one that helps the others most gets exp(eta) times the share of one that
    does nothing for them."""
