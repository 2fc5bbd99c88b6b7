r"""The ratio at which a law of mixing foretells the lowest losses.

.. math:: \min_\alpha \sum_j w_j \frac{e^{a_j \cdot \alpha}}{y_j(\mathrm{uniform})}
          + \lambda \, \mathrm{KL}(\alpha \,\|\, \alpha_0), \qquad \sum_k \alpha_k = 1, \quad 0 \le \alpha_k \le u_k

The sum is convex, the divergence strictly so: there is one solution, and a solver of scipy finds it. The divergence
holds back where the law tells little; the limits keep a training from going over a small task again and again.
"""

import numpy as np
from scipy.optimize import brentq, minimize

from tdro.mixtures.mixinglaw import Law
from tdro.mixtures.ratios import RHO

#: Passes over a task that are allowed at most.
PASSES = 4.0
#: Strength of the divergence from the prior.
KL = 0.05
# Logarithms need shares above 0.
_SMALLEST = 1e-12


def best_ratio(
    law: Law,
    prior: np.ndarray,
    limits: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    strength: float = KL,
) -> np.ndarray:
    """The ratio of the lowest foretold losses, not far from a prior.

    Args:
        law: Of dev tasks.
        prior: Shape (training tasks,), sum 1; a task without a share there gets none.
        limits: Largest share of each training task, of a sum of 1 at least; None for no limits.
        weights: Of the dev tasks, sum 1; None weighs all alike.
        strength: Of the divergence, above 0.

    Returns:
        Shape (training tasks,), sum 1.

    Raises:
        ValueError: where the limits leave no ratio, or the solver ends without a solution.
    """
    tasks = len(prior)
    limits = np.ones(tasks) if limits is None else np.minimum(limits, 1)
    limits = np.where(prior > 0, limits, 0)
    if limits.sum() < 1 - 1e-9:
        raise ValueError(f"the limits sum to {limits.sum():.3f}; no ratio stays below them")
    of_dev = np.full(len(law.slopes), 1 / len(law.slopes)) if weights is None else weights
    scales = of_dev / law.losses(np.full((1, tasks), 1 / tasks))[0]
    free = np.flatnonzero(limits > 0)
    slopes, before = law.slopes[:, free], prior[free]

    def target(ratio: np.ndarray) -> tuple[float, np.ndarray]:
        terms, apart = scales * np.exp(slopes @ ratio), np.log(ratio / before)
        return terms.sum() + strength * ratio @ apart, terms @ slopes + strength * (apart + 1)

    found = minimize(
        target,
        _inside(before, limits[free]),
        jac=True,
        method="SLSQP",
        bounds=[(_SMALLEST, limit) for limit in limits[free]],
        constraints={"type": "eq", "fun": lambda ratio: ratio.sum() - 1, "jac": np.ones_like},
        options={"maxiter": 1000, "ftol": 1e-13},
    )
    if not found.success:
        raise ValueError(f"no best ratio was found: {found.message}")
    ratio = np.zeros(tasks)
    ratio[free] = np.clip(found.x, 0, limits[free])
    return ratio / ratio.sum()


def _inside(prior: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The prior where it stays below the limits; what it has above them goes to the others in proportion."""
    if limits.sum() <= 1:
        return limits / limits.sum()
    most = limits.max() / prior.min() + 1
    factor = brentq(lambda factor: np.minimum(factor * prior, limits).sum() - 1, 0, most)
    return np.minimum(factor * prior, limits)


def limits_of(sizes: np.ndarray, rows: int, passes: float = PASSES, rho: float = RHO) -> np.ndarray:
    """Largest weight of each expert with which a training goes over its task so many times at most.

    A weight of 0 still draws (1 - rho) / K of the rows from a task, however few it has. Where the limits of all tasks
    leave no ratio, as they have too few rows together, more passes are allowed, as few as leave one.

    Args:
        sizes: Training rows of each task.
        rows: That a training draws.
        passes: Over a task at most.
        rho: Of the experts.
    """

    def limits(passes: float) -> np.ndarray:
        return np.clip((passes * sizes / rows - (1 - rho) / len(sizes)) / rho, 0, 1)

    if limits(passes).sum() >= 1:
        return limits(passes)
    return limits(
        brentq(lambda passes: limits(passes).sum() - 1, passes, 2 * rows / sizes.min(), xtol=1e-12) * (1 + 1e-9)
    )
