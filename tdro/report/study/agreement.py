"""Whether two studies order mixtures alike: rank correlations of their mean gains on dev.

    print(said(Path("study/wide/results"), Path("study/deep/results")))

A cheap study of many seeds may stand in for a dear one where it does.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import kendalltau, spearmanr

from tdro.artifacts.files import read_json
from tdro.artifacts.layout import Layout
from tdro.config.commands import BASELINE, RecommendJob
from tdro.config.sections import parse
from tdro.errors import UserError
from tdro.formats import plural, probability
from tdro.report.study import devscores
from tdro.report.study.devscores import METRICS, RECIPROCAL_RANK

_SAMPLES, _TAIL = 2000, 0.025
# Fewer mixtures than this have no order to speak of.
_FEWEST = 3


class Gains(NamedTuple):
    """What mixtures gain over the baseline: of each dataset shape (mixtures, seeds, queries), with its weight."""

    mixtures: list[str]
    values: dict[tuple[str, str], np.ndarray]
    weights: dict[tuple[str, str], float]


class Agreement(NamedTuple):
    """A rank correlation, its interval over seeds and queries, and its p if the two orders were unrelated."""

    value: float
    low: float
    high: float
    p: float


def said(one: Path, other: Path) -> str:
    """A line a pair of models of two results folders.

    Raises:
        UserError: where a folder has no recommendation, or fewer than three mixtures are in both.
    """
    lines = []
    for first in _studies(one):
        for second in _studies(other):
            names = f"{first[0]} in {one} and {second[0]} in {other}"
            common = [m for m in first[1].mixtures if m in second[1].mixtures]
            if len(common) < _FEWEST:
                raise UserError(
                    f"{names} have {plural(len(common), 'mixture')} in common beside {BASELINE}; an order needs "
                    f"{_FEWEST}."
                )
            found = agreement(_of(first[1], common), _of(second[1], common))
            lines.append(f"{names}: {_sentence(len(common), found)}")
    return "\n".join(lines)


def _sentence(number: int, found: dict[str, Agreement]) -> str:
    figures = ", ".join(f"{name} {a.value:+.2f} [{a.low:+.2f}, {a.high:+.2f}]" for name, a in found.items())
    kendall = found["Kendall"]
    sure = kendall.p < 2 * _TAIL and not kendall.low <= 0 <= kendall.high
    verdict = "that they order the mixtures alike cannot be told"
    if sure:
        verdict = "they order the mixtures " + ("alike" if kendall.value > 0 else "in opposite ways")
    said = f"{figures}, {probability(kendall.p)} against unrelated orders"
    return f"{said}, of the mean gains of {number} mixtures on dev: {verdict}."


def _studies(results: Path) -> Iterator[tuple[str, Gains]]:
    """Models of a results folder, with their gains."""
    layout = Layout(results)
    settings = parse(RecommendJob, read_json(layout.recommendation)["settings"], layout.recommendation)
    weights = {pair: 1 / len(settings.dev) / len(settings.dev[pair[0]]) for pair in devscores.pairs(settings)}
    place = METRICS.index(RECIPROCAL_RANK)
    for model in settings.models:
        runs = devscores.read(settings, layout, model)
        values = {
            pair: np.array(
                [[runs[m][seed][pair].values[:, place] for seed in settings.seeds] for m in settings.mixtures]
            )
            for pair in weights
        }
        base = settings.mixtures.index(BASELINE)
        gains = {pair: np.delete(scores - scores[base], base, axis=0) for pair, scores in values.items()}
        yield model, Gains(settings.challengers, gains, weights)


def _of(gains: Gains, mixtures: list[str]) -> Gains:
    rows = [gains.mixtures.index(mixture) for mixture in mixtures]
    return Gains(mixtures, {pair: values[rows] for pair, values in gains.values.items()}, gains.weights)


def agreement(one: Gains, other: Gains, samples: int = _SAMPLES, seed: int = 42) -> dict[str, Agreement]:
    """Spearman's and Kendall's correlation of the mean gains of the same mixtures.

    The interval is a percentile bootstrap: seeds of each study and queries of each dataset are drawn with replacement.
    A dataset with as many queries in both studies has the same queries in both, so these are drawn once. With few seeds
    it is too narrow (:mod:`tdro.evaluation.statistics`). It speaks of these mixtures: three that happen to stand in one
    order do so for sure. Whether that is more than chance, p tells, over all orders of as many mixtures.

    Args:
        one: Gains of a study.
        other: Those of another, of the same mixtures in the same order.
        samples: Resamples.
        seed: Decides them.
    """
    random = np.random.default_rng(seed)
    drawn = np.array([_resampled(one, other, random) for _ in range(samples)])
    means = [_mean(gains, slice(None), {}) for gains in (one, other)]
    return {
        name: _agreement(of, means, [of(*pair).statistic for pair in drawn])
        for name, of in (("Spearman", spearmanr), ("Kendall", kendalltau))
    }


def _agreement(of: Callable[..., Any], means: Sequence[np.ndarray], drawn: Sequence[float]) -> Agreement:
    found, (low, high) = of(*means), np.quantile(drawn, [_TAIL, 1 - _TAIL])
    return Agreement(*map(float, (found.statistic, low, high, found.pvalue)))


def _resampled(one: Gains, other: Gains, random: np.random.Generator) -> list[np.ndarray]:
    """Mean gains of both, over other seeds and queries."""
    queries: dict[tuple, np.ndarray] = {}
    means = []
    for gains in (one, other):
        seeds = next(iter(gains.values.values())).shape[1]
        for pair, values in gains.values.items():
            number = values.shape[2]
            queries.setdefault((pair, number), random.choice(number, (number,)))
        means.append(_mean(gains, random.choice(seeds, (seeds,)), queries))
    return means


def _mean(gains: Gains, seeds: slice | np.ndarray, queries: dict[tuple, np.ndarray]) -> np.ndarray:
    """Of each mixture, over some seeds and queries; of all queries where none are named."""
    found = np.zeros(len(gains.mixtures))
    for pair, values in gains.values.items():
        rows = queries.get((pair, values.shape[2]), slice(None))
        found += gains.weights[pair] * values[:, seeds][:, :, rows].mean(axis=(1, 2))
    return found
