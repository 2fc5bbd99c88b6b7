"""Which gain a comparison can show: how often one of a given size is told from none.

    power(0.02, Design(queries=640, seeds=5, comparisons=12))     # the chance that a gain of 0.02 is called one
    least_gain(Design(queries=640, seeds=5, comparisons=12))      # the gain that is called one in 8 of 10 cases

A formula, for what :func:`tdro.evaluation.statistics.combine` and Holm's correction do with normal differences;
``benchmarks/level.py`` simulates whole reports beside it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm, t

#: Share of the cases in which a gain is to be found.
FOUND = 0.8
# Spreads of seeds that stand for all, each as likely: the chance is a mean over them.
_SPREADS = (np.arange(400) + 0.5) / 400


@dataclass(frozen=True)
class Spread:
    """How a difference of two mixtures scatters: standard deviations, in units of the metric.

    A query of one training differs by the gain, plus what is the query's, plus what is the training's, plus what is of
    both.
    """

    query: float
    training: float
    both: float


#: Of a difference in nDCG@10 or in reciprocal rank, such as gives the intervals of `curr` in docs/results.md: 0.005
#: between trainings, 0.05 between queries over eight seeds. How much of the latter is the query's alone is assumed.
TYPICAL = Spread(query=0.04, training=0.005, both=0.10)


@dataclass(frozen=True)
class Design:
    """What is compared.

    Attributes:
        queries: How many; of an average over datasets as many as would be as sure: 1 / sum(weight ** 2 / queries).
        seeds: Trainings of each mixture. One seed compares two models, whatever another training would give.
        comparisons: How many are corrected together.
        confidence: Level of the intervals, and 1 minus that of the corrected p.
        spread: Of a difference.
    """

    queries: float
    seeds: int
    comparisons: int = 1
    confidence: float = 0.95
    spread: Spread = TYPICAL


def power(gain: float, design: Design) -> float:
    """The chance that a true gain, the largest of those compared, is called one."""
    spread, seeds = design.spread, design.seeds
    level = (1 - design.confidence) / design.comparisons
    over_queries = (spread.query**2 + spread.both**2 / seeds) / design.queries
    critical, variance = norm.isf(level / 2) * np.sqrt(over_queries), over_queries
    if seeds > 1:
        variance = over_queries + spread.training**2 / seeds
        expected = (spread.training**2 + spread.both**2 / design.queries) / seeds
        errors = np.sqrt(expected * chi2.ppf(_SPREADS, seeds - 1) / (seeds - 1))
        critical = np.hypot(critical, t.isf(level / 2, seeds - 1) * errors)
    return float(np.mean(norm.sf((critical - gain) / np.sqrt(variance))))


def least_gain(design: Design, found: float = FOUND) -> float:
    """The gain that is called one in that share of the cases."""
    most = 1e-6
    while power(most, design) < found:
        most *= 2
    return float(brentq(lambda gain: power(gain, design) - found, 0, most, xtol=1e-7))
