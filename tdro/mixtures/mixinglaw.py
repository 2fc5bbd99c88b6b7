r"""A law of how the loss of each dev task depends on the ratio of the training tasks.

    law = fit_law(ratios, losses)                 # measured at some dozens of ratios
    law.losses(np.array([[0.5, 0.3, 0.2]]))       # told of any other
    ranking(ratios, losses)                       # how well ratios left out are ranked, a number a dev task

.. math:: y_j(\alpha) = e^{c_j} + e^{a_j \cdot \alpha}

Each task has a part of the loss that no ratio removes and a part that falls, or rises, exponentially with the share of
every training task (Ye et al. 2024, Data Mixing Laws; the form and its fit as in Olmix).
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.stats import spearmanr

#: Residuals of log losses above this count linearly, so that one odd measurement does not bend the law (Olmix).
_HUBER = 0.02
_STARTS = 10
#: Measurements a task from which the law with its floor is fitted; with fewer it has none.
_ENOUGH = 3
#: Parts that are left out in turn to see how well a law foretells them: a fifth each.
_PARTS = 5
# How far below the smallest loss the floor may lie, in logs: e^-8 of it is no floor.
_DEEP = 8.0
# Strengths of the ridge that are tried.
_RIDGES = np.geomspace(1e-6, 10, 29)


class Law(NamedTuple):
    """Losses of dev tasks by the ratio of training tasks.

    Attributes:
        floors: The part that no ratio removes, exp(c), shape (dev tasks,); 0 where the law has none.
        slopes: a, shape (dev tasks, training tasks).
    """

    floors: np.ndarray
    slopes: np.ndarray

    def losses(self, ratios: np.ndarray) -> np.ndarray:
        """Shape (ratios, dev tasks), of ratios of shape (ratios, training tasks)."""
        return self.floors + np.exp(ratios @ self.slopes.T)


def fit_law(ratios: np.ndarray, losses: np.ndarray, seed: int = 0) -> Law:
    """The law that fits best, each dev task by itself.

    With three or more ratios a training task: Huber's loss of the residuals of log losses, minimised by L-BFGS from ten
    starts. With fewer: log losses as a linear function of the ratio, by ridge regression whose strength leaves out one
    measurement at a time; such a law has no floor.

    Args:
        ratios: Shape (ratios, training tasks), rows sum to 1.
        losses: Measured there, above 0, shape (ratios, dev tasks).
        seed: Decides the starts.

    Raises:
        ValueError: for a loss that is not above 0.
    """
    if not (np.isfinite(losses).all() and (losses > 0).all()):
        raise ValueError("losses must be finite and above 0")
    fitted = [
        _with_floor(ratios, column, np.random.default_rng([seed, number]))
        if len(ratios) >= _ENOUGH * ratios.shape[1]
        else (0.0, _ridge(ratios, np.log(column)))
        for number, column in enumerate(losses.T)
    ]
    floors, slopes = zip(*fitted, strict=True)
    return Law(np.array(floors), np.array(slopes))


def ranking(ratios: np.ndarray, losses: np.ndarray, seed: int = 0) -> np.ndarray:
    """How well the law ranks ratios that it was not fitted to: Spearman's correlation, a number a dev task.

    A fifth of the ratios is left out in turn, and what the law of the others tells of it is compared with what was
    measured, all fifths together. 0 where either is constant.
    """
    parts = np.random.default_rng(seed).permutation(len(ratios)) % _PARTS
    told = np.empty_like(losses)
    for part in range(_PARTS):
        law = fit_law(ratios[parts != part], losses[parts != part], seed)
        told[parts == part] = law.losses(ratios[parts == part])
    return np.array([_spearman(*columns) for columns in zip(told.T, losses.T, strict=True)])


def _spearman(told: np.ndarray, measured: np.ndarray) -> float:
    if np.ptp(told) == 0 or np.ptp(measured) == 0:
        return 0.0
    return float(spearmanr(told, measured).statistic)


def _with_floor(ratios: np.ndarray, losses: np.ndarray, random: np.random.Generator) -> tuple[float, np.ndarray]:
    """Floor and slopes of one dev task."""
    logs, lowest = np.log(losses), np.log(losses.min())
    bounds = [(lowest - _DEEP, lowest), *[(None, None)] * ratios.shape[1]]
    best = None
    for share in np.linspace(0.05, 0.95, _STARTS):
        # With the floor given, log(y - floor) is linear in the ratio: a start that needs no luck.
        slopes = np.linalg.lstsq(ratios, np.log(losses - share * losses.min()), rcond=None)[0]
        start = np.array([lowest + np.log(share), *(slopes + random.normal(0, 0.01, len(slopes)))])
        found = minimize(_misfit, start, (ratios, logs), "L-BFGS-B", jac=True, bounds=bounds, options=_PRECISELY)
        if best is None or found.fun < best.fun:
            best = found
    return float(np.exp(best.x[0])), best.x[1:]


_PRECISELY = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-12, "gtol": 1e-9}


def _misfit(values: np.ndarray, ratios: np.ndarray, logs: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean of Huber's loss of the residuals of the logs, and its gradient by c and a."""
    floor, exponents = values[0], ratios @ values[1:]
    told = np.logaddexp(floor, exponents)
    residuals = told - logs
    clipped = np.clip(residuals, -_HUBER, _HUBER)
    # Huber's loss over its width squared, so that its size does not depend on the width.
    loss = (clipped * (residuals - clipped / 2)).mean() / _HUBER**2
    share = np.exp(exponents - told)  # of the part that the ratio moves
    pull = clipped / len(logs) / _HUBER**2
    return float(loss), np.array([(pull * (1 - share)).sum(), *((pull * share) @ ratios)])


def _ridge(ratios: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Slopes whose product with a ratio is its log loss; the mean of the logs is not shrunk.

    As ratios sum to 1, a constant added to every slope is an intercept.
    """
    middle, mean = ratios.mean(axis=0), logs.mean()
    left, sizes, right = np.linalg.svd(ratios - middle, full_matrices=False)
    turned = left.T @ (logs - mean)

    def left_out(strength: float) -> float:
        """Mean square error where each measurement is left out, by the diagonal of the hat matrix."""
        shrunk = sizes**2 / (sizes**2 + strength)
        residuals = logs - mean - left @ (shrunk * turned)
        return float(np.square(residuals / (1 - 1 / len(logs) - np.square(left) @ shrunk)).mean())

    strength = min(_RIDGES, key=left_out)
    slopes = right.T @ (sizes / (sizes**2 + strength) * turned)
    return slopes + (mean - middle @ slopes)
