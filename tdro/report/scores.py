"""Scores of every retriever, and how surely they differ from the baseline's.

Everything is computed from the scores of single queries. Three things have rows: a dataset, a
benchmark (the mean over its datasets), and averages over benchmarks (of a suite, and of all that
are out of domain), to which every benchmark counts the same.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from tdro.layout import Layout
from tdro.report.content import BASELINE, Content
from tdro.report.queries import ORDER, Pair, Reader, Scores, averaged
from tdro.statistics import Difference, Resamples, combine, holm, resample, seed_interval

#: Stands for all seeds in the place of a seed.
ALL_SEEDS = "all"
#: Stands for the macro average over a benchmark's datasets in the place of a dataset.
MEAN = "(mean)"
#: The macro average over all out-of-domain benchmarks, in the place of a benchmark.
OUT_OF_DOMAIN = "out_of_domain"
#: Stands in the place of a mixture for a retriever that nothing was trained for.
UNTRAINED = "untrained"

#: Scores of every dataset, by mixture and seed.
Runs = dict[tuple[str, int | str], dict[Pair, Scores]]


@dataclass(frozen=True)
class Row:
    """One score and its difference to the baseline's; a row of ``results.csv``.

    ``holm`` corrects the difference's p for all benchmarks, or, in a dataset's row, for all datasets;
    averages over benchmarks stand alone. ``seed_interval`` is that over training seeds, where there
    are several. ``verdict`` is gain, loss or unclear by the corrected p, empty where nothing is compared.
    """

    model: str
    mixture: str
    seed: int | str
    benchmark: str
    dataset: str
    metric: str
    queries: int
    score: float
    uniform: float | None = None
    difference: Difference | None = None
    holm: float | None = None
    seed_interval: tuple[float, float] | None = None
    verdict: str = ""

    @property
    def seed_verdict(self) -> str:
        """Gain, loss or unclear by ``seed_interval``, which must be there."""
        low, high = self.seed_interval
        return "gain" if low > 0 else "loss" if high < 0 else "unclear"


@dataclass(frozen=True)
class Group:
    """What one row is about: datasets and the weight of each in the average.

    ``family`` names the rows whose p are corrected together; averages over benchmarks have none.
    """

    benchmark: str
    dataset: str
    weights: dict[Pair, float]
    family: str = ""


class Results:
    """All rows of a report, found by what they are about."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self._by_key = {(r.model, r.mixture, r.seed, r.benchmark, r.dataset, r.metric): r for r in rows}
        self._metrics: dict[str, list[str]] = {}
        for row in rows:
            known = self._metrics.setdefault(row.benchmark, [])
            if row.metric not in known:
                known.append(row.metric)

    def metrics(self, benchmark: str) -> list[str]:
        """Metrics of a benchmark or average, its main one first."""
        return sorted(self._metrics[benchmark], key=ORDER.__getitem__)

    def find(
        self,
        model: str,
        mixture: str,
        benchmark: str,
        *,
        dataset: str = MEAN,
        metric: str | None = None,
        seed: int | str = ALL_SEEDS,
    ) -> Row:
        """The row of one retriever on one benchmark, of its main metric unless another is named."""
        return self._by_key[model, mixture, seed, benchmark, dataset, metric or self.metrics(benchmark)[0]]


def collect(settings: Content, layout: Layout) -> Results:
    """Read all scores and compare every mixture with the baseline.

    Raises:
        UserError: see :meth:`tdro.report.queries.Reader.read`.
    """
    reader = Reader(settings.benchmarks)
    rows = [row for model in settings.models for row in _rows_of_model(settings, layout, reader, model)]
    for name in settings.untrained:
        scores = reader.read(
            lambda job, name=name: layout.untrained_scores(name, job),
            lambda job, name=name: layout.untrained_query_scores(name, job),
        )
        rows += _rows(settings, scores, lambda *key, name=name: Row(name, UNTRAINED, ALL_SEEDS, *key))
    return Results(rows)


def _rows_of_model(settings: Content, layout: Layout, reader: Reader, model: str) -> list[Row]:
    runs = _read_model(settings, layout, reader, model)
    rows = []
    for mixture in settings.mixtures:
        for seed in [ALL_SEEDS] if len(settings.seeds) == 1 else [ALL_SEEDS, *settings.seeds]:
            of_run = _rows(settings, runs[mixture, seed], lambda *key, run=(mixture, seed): Row(model, *run, *key))
            if mixture != BASELINE:
                of_run = _compared(settings, of_run, runs[mixture, seed], runs[BASELINE, seed])
            else:
                of_run = [replace(row, uniform=row.score) for row in of_run]
            rows += of_run
    if len(settings.seeds) == 1:  # the only seed is all seeds: no need to resample again
        return rows + [replace(row, seed=settings.seeds[0]) for row in rows]
    return _with_seed_intervals(settings, rows)


def _read_model(settings: Content, layout: Layout, reader: Reader, model: str) -> Runs:
    """Scores of each mixture and seed, and of each mixture averaged over seeds query by query."""
    runs: Runs = {}
    for mixture in settings.mixtures:
        for seed in settings.seeds:
            key = (model, seed, mixture)
            runs[mixture, seed] = reader.read(
                lambda job, key=key: layout.scores(*key, job), lambda job, key=key: layout.query_scores(*key, job)
            )
        runs[mixture, ALL_SEEDS] = averaged([runs[mixture, seed] for seed in settings.seeds])
    return runs


def groups(settings: Content) -> list[Group]:
    """What has rows: every benchmark, each of its datasets, every suite, and all out of domain."""
    found = []
    for benchmark, datasets in settings.benchmarks.items():
        pairs = [(benchmark, dataset) for dataset in datasets]
        found.append(Group(benchmark, MEAN, {pair: 1 / len(pairs) for pair in pairs}, "benchmarks"))
        found += [Group(*pair, {pair: 1.0}, "datasets") for pair in pairs]
    averages = {**settings.suites, OUT_OF_DOMAIN: settings.out_of_domain}
    return found + [Group(name, MEAN, _average(settings, members)) for name, members in averages.items() if members]


def _average(settings: Content, benchmarks: list[str]) -> dict[Pair, float]:
    """Every benchmark counts the same, and within it every dataset."""
    return {
        (benchmark, dataset): 1 / len(benchmarks) / len(settings.benchmarks[benchmark])
        for benchmark in benchmarks
        for dataset in settings.benchmarks[benchmark]
    }


def _measured(group: Group, scores: dict[Pair, Scores]) -> list[tuple[str, dict[Pair, float]]]:
    """Each metric of a group with the weights of the datasets that have it.

    An average is over the benchmarks that have the metric: one of nDCG@10 leaves MKQA out.
    """
    metrics = sorted({m for pair in group.weights for m in scores[pair].metrics}, key=ORDER.__getitem__)
    found = []
    for metric in metrics:
        having = {pair: weight for pair, weight in group.weights.items() if metric in scores[pair].metrics}
        total = sum(having.values())
        found.append((metric, {pair: weight / total for pair, weight in having.items()}))
    return found


def _column(scores: Scores, metric: str) -> int:
    return scores.metrics.index(metric)


def _rows(settings: Content, scores: dict[Pair, Scores], make: Callable[..., Row]) -> list[Row]:
    """The score of every group and metric."""
    means = {pair: part.values.mean(axis=0) for pair, part in scores.items()}
    rows = []
    for group in groups(settings):
        for metric, weights in _measured(group, scores):
            score = sum(weight * means[pair][_column(scores[pair], metric)] for pair, weight in weights.items())
            queries = sum(len(scores[pair].values) for pair in weights)
            rows.append(make(group.benchmark, group.dataset, metric, queries, float(score)))
    return rows


def _compared(settings: Content, rows: list[Row], here: dict[Pair, Scores], base: dict[Pair, Scores]) -> list[Row]:
    """``rows`` with their differences, tests and verdicts."""
    report = settings.report
    resamples = {
        pair: resample(
            scores.values - base[pair].values,
            samples=report.bootstrap_samples,
            seed=[report.seed, zlib.crc32("/".join(pair).encode())],
        )
        for pair, scores in here.items()
    }
    differences = [
        (group, metric, _difference(here, resamples, weights, metric, report.confidence))
        for group in groups(settings)
        for metric, weights in _measured(group, here)
    ]
    corrected = _corrected(here, differences)
    return [
        _judged(replace(row, uniform=row.score - d.mean, difference=d, holm=p), report.confidence)
        for row, (_, _, d), p in zip(rows, differences, corrected, strict=True)
    ]


def _difference(
    here: dict[Pair, Scores], resamples: dict[Pair, Resamples], weights: dict[Pair, float], metric: str, level: float
) -> Difference:
    parts = []
    for pair, weight in weights.items():
        part, column = resamples[pair], _column(here[pair], metric)
        one = slice(column, column + 1)
        parts.append((weight, Resamples(part.observed[one], part.bootstrap[:, one], part.flipped[:, one])))
    return combine(parts, confidence=level)[0]


def _corrected(here: dict[Pair, Scores], differences: list[tuple[Group, str, Difference]]) -> list[float | None]:
    """Holm's p of each difference within its family; None for those that stand alone.

    The main metrics of all benchmarks are one family, whatever they are; so are all their second ones.
    """
    families: dict[tuple[str, int], list[int]] = {}
    for place, (group, metric, _) in enumerate(differences):
        if group.family:
            rank = _column(here[next(iter(group.weights))], metric)
            families.setdefault((group.family, rank), []).append(place)
    corrected: list[float | None] = [None] * len(differences)
    for places in families.values():
        for place, p in zip(places, holm([differences[i][2].p for i in places]), strict=True):
            corrected[place] = p
    return corrected


def _judged(row: Row, confidence: float) -> Row:
    p = row.difference.p if row.holm is None else row.holm
    if p >= 1 - confidence:
        return replace(row, verdict="unclear")
    return replace(row, verdict="gain" if row.difference.mean > 0 else "loss")


def _with_seed_intervals(settings: Content, rows: list[Row]) -> list[Row]:
    """``rows``, those of all seeds with the interval over the seeds' own differences."""
    means: dict[tuple, list[float]] = {}
    for row in rows:
        if row.seed != ALL_SEEDS and row.difference:
            means.setdefault((row.mixture, row.benchmark, row.dataset, row.metric), []).append(row.difference.mean)
    found = []
    for row in rows:
        key = (row.mixture, row.benchmark, row.dataset, row.metric)
        if row.seed == ALL_SEEDS and key in means:
            row = replace(row, seed_interval=seed_interval(means[key], settings.report.confidence))
        found.append(row)
    return found
