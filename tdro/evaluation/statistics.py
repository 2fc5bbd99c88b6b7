"""How surely one retriever differs from another on the same queries.

    parts = [(0.5, resample(differences_nq, ...)), (0.5, resample(differences_fiqa, ...))]
    combine(parts, confidence=0.95, seeds=[[0.02], [0.05], [0.03]])    # one Difference a metric: mean, interval, p

Every statistic is a weighted sum of means over datasets. Datasets are resampled apart from each other, and alike
where their queries are the same, by the seeds of the draws; so each dataset is resampled once, and any average over
datasets is put together from that.

A difference scatters for two reasons: other queries, and other training seeds. There are hundreds of
queries, which are resampled. There are two to five seeds, and resampling so few is known to give too
narrow an interval (of two, every second resample has no spread at all); their part is Student's. The
squares of the two half-widths add up to that of the one interval (docs/evaluation.md says why that is
never too narrow), and the test adds them up the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

# Resampled values held at once; bounds memory at about 50 MB whatever the number of queries.
_BLOCK = 4_000_000
# Two sums of the same numbers in another order differ by less than this; an equal statistic must count as equal.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Difference:
    """A mean difference in the unit of the metric, its confidence interval, and the test against none.

    ``p`` is two-sided, not corrected for other comparisons. ``effect`` is the mean in units of the standard deviation
    of a query's difference (:func:`combine`); None where all queries differ alike.
    """

    mean: float
    low: float
    high: float
    p: float
    effect: float | None = None


@dataclass(frozen=True)
class Resamples:
    """A dataset's mean difference: as observed, in bootstrap samples, and with signs flipped at random.

    Shapes (metrics,), (samples, metrics), (samples, metrics); ``variance`` is that of a query's difference, (metrics,).
    """

    observed: np.ndarray
    bootstrap: np.ndarray
    flipped: np.ndarray
    variance: np.ndarray

    def metric(self, place: int) -> "Resamples":
        """Those of one metric."""
        one = slice(place, place + 1)
        return Resamples(self.observed[one], self.bootstrap[:, one], self.flipped[:, one], self.variance[one])


def resample(differences: np.ndarray, *, samples: int, seed: int | Sequence[int]) -> Resamples:
    """Draw queries with replacement for the bootstrap, and signs for the randomisation test.

    Bootstrap: Efron and Tibshirani (1993), chapters 8 and 13; for retrieval: Sakai (SIGIR 2006).
    Randomisation test: if two retrievers were the same, swapping their scores of a query, that is
    flipping the difference's sign, would be as likely; Smucker, Allan, Carterette (CIKM 2007).

    Args:
        differences: Scores of one retriever minus those of the other on the same queries, shape
            (queries, metrics). With several training seeds, each query's mean over the seeds.
        samples: Number of bootstrap samples, and of assignments of signs.
        seed: Decides the draws. Datasets of the same queries, in the same order, need the same one, so that what they
            have in common counts; all others need different ones.

    Raises:
        ValueError: for differences that are no finite matrix with a row.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 2 or not len(values) or not np.isfinite(values).all():
        raise ValueError("differences must be a non-empty matrix of finite numbers")
    drawing, flipping = np.random.default_rng(seed).spawn(2)
    return Resamples(
        values.mean(axis=0),
        _resampled_means(values, samples, drawing),
        _flipped_means(values, samples, flipping),
        values.var(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1]),
    )


def combine(
    parts: Sequence[tuple[float, Resamples]],
    *,
    confidence: float,
    seeds: Sequence[Sequence[float]] | None = None,
) -> list[Difference]:
    """Weighted sum of datasets' mean differences: interval and test of each metric.

    Without seeds: percentile bootstrap and randomisation test over queries. With the differences of
    two or more seeds, Student's interval over them is part of both.

    The effect size is that of paired data (Sakai, "Statistical Reform in Information Retrieval?", SIGIR Forum 2014):
    the mean over the standard deviation of the differences, for an average over datasets the root of their mean
    variance. It says how large a difference is beside what queries differ by; p says how sure it is.

    Args:
        parts: Weight and resamples of each dataset, all of as many samples; weights sum to 1 for an average.
            With several seeds they are of each query's mean over the seeds.
        confidence: Level of the interval, such as 0.95.
        seeds: The same weighted sum of each training seed by itself, shape (seeds, metrics); None for one seed.

    Returns:
        One difference a metric.

    Raises:
        ValueError: without datasets.

    Example:
        >>> part = resample(np.array([[0.25], [0.5], [0.25], [0.0]]), samples=1000, seed=0)
        >>> combine([(1.0, part)], confidence=0.95)
        [Difference(mean=0.25, low=0.0625, high=0.4375, p=0.24275724275724275, effect=1.224744871391589)]
    """
    if not parts:
        raise ValueError("no dataset to compare on")
    nothing = np.zeros(1)
    observed = sum((weight * part.observed for weight, part in parts), nothing)
    bootstrap = sum((weight * part.bootstrap for weight, part in parts), nothing)
    flipped = np.abs(sum((weight * part.flipped for weight, part in parts), nothing))
    errors = np.zeros(len(observed)) if seeds is None else standard_errors(seeds)
    freedom = 1 if seeds is None else len(seeds) - 1
    tail = (1 - confidence) / 2
    low, high = np.quantile(bootstrap, [tail, 1 - tail], axis=0)
    half = errors * _student(freedom, np.array([1 - confidence]))
    low = observed - np.hypot(np.maximum(observed - low, 0), half)
    high = observed + np.hypot(np.maximum(high - observed, 0), half)
    p = [_p(abs(mean), flips, error, freedom) for mean, flips, error in zip(observed, flipped.T, errors, strict=True)]
    spread = np.sqrt(sum((weight * part.variance for weight, part in parts), nothing))
    effects = [float(mean / one) if one > _ROUNDING else None for mean, one in zip(observed, spread, strict=True)]
    found = zip(observed.tolist(), low.tolist(), high.tolist(), map(float, p), effects, strict=True)
    return [Difference(*values) for values in found]


def standard_errors(seeds: Sequence[Sequence[float]]) -> np.ndarray:
    """Standard error of the mean over training seeds, from a row of values a seed.

    Raises:
        ValueError: for fewer than two seeds.
    """
    values = np.asarray(seeds, dtype=np.float64)
    if len(values) < 2:
        raise ValueError("a spread over seeds needs two of them")
    errors = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return np.where(np.ptp(values, axis=0) <= _ROUNDING, 0.0, errors)


def _p(size: float, flipped: np.ndarray, error: float, freedom: int) -> float:
    """The smallest level at which a mean of this size is told from zero.

    At level (1 + k) / (1 + n) the randomisation test asks it to exceed the k + 1 largest of n flipped means, and
    Student's test of the seeds ``error`` times t of that level; together, the root of the sum of their squares. The
    assignment of signs that was observed is one of all: it counts, so that p is never 0.
    """
    levels = np.arange(1, len(flipped) + 1) / (1 + len(flipped))
    critical = np.hypot(np.sort(flipped)[::-1], error * _student_levels(freedom, len(flipped)))
    # The critical value falls with the level: the first that is exceeded is the answer.
    passed = np.searchsorted(-critical, -(size - _ROUNDING), side="right")
    return levels[passed] if passed < len(levels) else 1.0


@lru_cache(maxsize=4)
def _student_levels(freedom: int, samples: int) -> np.ndarray:
    """Student's two-sided critical values at the levels that so many samples can tell apart."""
    return _student(freedom, np.arange(1, samples + 1) / (1 + samples))


def _student(freedom: int, levels: np.ndarray) -> np.ndarray:
    from scipy.stats import t

    return t.isf(levels / 2, freedom)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for testing all of them at once (Holm, 1979), in the order given.

    Below alpha they reject with a probability of at most alpha of any false rejection among them.
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(order) - np.arange(len(order))
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1.0)
    return adjusted.tolist()


def _resampled_means(values: np.ndarray, samples: int, random: np.random.Generator) -> np.ndarray:
    """Means of ``samples`` resamples of the rows of ``values``, shape (samples, metrics)."""
    means = np.empty((samples, values.shape[1]))
    for start, stop in _blocks(samples, values.size):
        rows = random.integers(0, len(values), (stop - start, len(values)), dtype=np.int32)
        for metric in range(values.shape[1]):
            means[start:stop, metric] = values[:, metric][rows].mean(axis=1)
    return means


def _flipped_means(values: np.ndarray, samples: int, random: np.random.Generator) -> np.ndarray:
    """Means of the rows of ``values`` under ``samples`` random assignments of signs, shape (samples, metrics).

    A row has a sign whether or not it is zero, so that datasets of the same queries have the same signs.
    """
    means = np.empty((samples, values.shape[1]))
    for start, stop in _blocks(samples, values.size):
        signs = random.integers(0, 2, (stop - start, len(values)), dtype=np.int8) * 2.0 - 1
        means[start:stop] = signs @ values / len(values)
    return means


def _blocks(samples: int, size: int) -> list[tuple[int, int]]:
    block = max(1, _BLOCK // size)
    return [(start, min(start + block, samples)) for start in range(0, samples, block)]
