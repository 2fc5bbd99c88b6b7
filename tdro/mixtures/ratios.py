"""Ratios of tasks that are tried without a training on each: what merged experts stand for, and which are tried.

Experts start from a warm-up on all tasks alike. Expert k draws task k with a share of (1 - rho) / K + rho, every other
with (1 - rho) / K. Their changes added up with weights alpha, a point of the simplex, stand for a training with

    p_k = (1 - rho) / K + rho alpha_k

Of four tasks and rho = 1/2 the first expert draws 0.625 of its rows from the first task, and so does alpha = (1, 0, 0,
0); alpha = (1/4, 1/4, 1/4, 1/4) is the uniform mixture. No mixture that starves a task can be told of.
"""

from collections.abc import Iterable

import numpy as np

#: Share of an expert's rows that are of its own task beyond those of the uniform mixture.
RHO = 0.5
# Sums of a Dirichlet's parameters, from one expert or two with a share to most of them with one.
_SPARSE, _DENSE = 0.5, 5.0
# Shares below the smallest that can be told of by less than this are rounding.
_ROUNDING = 1e-9


def mixture_of(ratios: np.ndarray, rho: float = RHO) -> np.ndarray:
    """Shares of the rows that weights of experts stand for, shape (..., tasks) as ``ratios``."""
    return (1 - rho) / ratios.shape[-1] + rho * ratios


def expert_mixtures(tasks: int, rho: float = RHO) -> np.ndarray:
    """Shares of the rows that each expert is trained on, shape (experts, tasks), one expert a task."""
    return mixture_of(np.eye(tasks), rho)


def without_one(tasks: int) -> np.ndarray:
    """All experts but one, alike, shape (tasks, tasks): what merging says of leaving each task out."""
    return (1 - np.eye(tasks)) / (tasks - 1)


def ratio_of(mixture: np.ndarray, rho: float = RHO) -> np.ndarray | None:
    """Weights of experts that stand for a mixture; None where it gives a task less than the smallest share."""
    ratio = (mixture - (1 - rho) / len(mixture)) / rho
    if ratio.min() < -_ROUNDING:
        return None
    ratio = np.maximum(ratio, 0)
    return ratio / ratio.sum()


def candidate_ratios(
    prior: np.ndarray, seed: int, known: Iterable[np.ndarray] = (), rho: float = RHO, number: int | None = None
) -> np.ndarray:
    """Ratios that losses are measured at, for :func:`tdro.mixtures.mixinglaw.fit_law`.

    The uniform one comes first, then the corners (each expert alone), then the known mixtures that can be told of, then
    draws from Dirichlet distributions around the prior, whose parameters sum to 0.5 at first and to 5 at last.

    Args:
        prior: What the draws scatter around, shape (tasks,), sum 1, above 0; the uniform mixture, say.
        seed: Decides the draws.
        known: Mixtures whose prediction is of interest, such as ``proportional`` and ``curr``.
        rho: Of the experts.
        number: How many; None: four a task, and at least 40.

    Returns:
        Shape (number, tasks), or more rows where the corners and known ones are more.
    """
    tasks = len(prior)
    ratios = [ratio for mixture in known if (ratio := ratio_of(mixture, rho)) is not None]
    fixed = np.vstack([np.full(tasks, 1 / tasks), np.eye(tasks), *ratios])
    draws = max(0, (number or max(40, 4 * tasks)) - len(fixed))
    random = np.random.default_rng(seed)
    strengths = np.geomspace(_SPARSE, _DENSE, draws)
    drawn = [random.dirichlet(strength * prior) for strength in strengths]
    return np.vstack([fixed, *drawn])
