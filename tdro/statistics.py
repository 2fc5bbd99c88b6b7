"""How surely one retriever differs from another on the same queries."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# Resampled values held at once; bounds memory at about 50 MB whatever the number of queries.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A mean difference with its confidence interval, in the unit of the metric."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval: the difference is distinguishable from none."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    differences_by_dataset: Mapping[str, np.ndarray], *, samples: int, confidence: float, seed: int
) -> Interval:
    """Stratified percentile bootstrap of a macro-averaged difference.

    The statistic is the mean over datasets of the mean difference over the dataset's queries.
    Queries are resampled with replacement within each dataset, so that every dataset keeps its
    number of queries and its share of the average (Efron and Tibshirani, 1993, chapters 8 and 13;
    for retrieval: Sakai, SIGIR 2006).

    Args:
        differences_by_dataset: for each dataset one value a query, shape (queries,): the metric of
            one retriever minus that of the other on the same query. With several training seeds,
            the mean of the query's differences over the seeds.
        samples: number of bootstrap samples.
        confidence: level of the interval, such as 0.95.
        seed: of the resampling.

    Returns:
        The observed mean and the interval's two ends.

    Raises:
        ValueError: without datasets, or for a dataset that is empty or not finite.

    Example:
        >>> paired_bootstrap({"nq": np.array([0.25, 0.5, 0.25, 0.0])}, samples=1000, confidence=0.95, seed=0)
        Interval(mean=0.25, low=0.0625, high=0.4375)
    """
    if not differences_by_dataset:
        raise ValueError("no dataset to compare on")
    streams = np.random.default_rng(seed).spawn(len(differences_by_dataset))
    mean, resampled = 0.0, np.zeros(samples)
    for stream, (dataset, values) in zip(streams, differences_by_dataset.items(), strict=True):
        differences = np.asarray(values, dtype=np.float64)
        if differences.ndim != 1 or not len(differences) or not np.isfinite(differences).all():
            raise ValueError(f"differences of {dataset!r} must be a non-empty vector of finite numbers")
        mean += differences.mean()
        resampled += _resampled_means(differences, samples, stream)
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled / len(differences_by_dataset), [tail, 1 - tail])
    return Interval(float(mean / len(differences_by_dataset)), float(low), float(high))


def _resampled_means(values: np.ndarray, samples: int, random: np.random.Generator) -> np.ndarray:
    """Means of ``samples`` resamples of ``values``, shape (samples,)."""
    if np.all(values == values[0]):
        return np.full(samples, values[0])
    block = max(1, _BLOCK // len(values))
    means = np.empty(samples)
    for start in range(0, samples, block):
        rows = random.integers(0, len(values), (min(block, samples - start), len(values)), dtype=np.int32)
        means[start : start + len(rows)] = values[rows].mean(axis=1)
    return means
