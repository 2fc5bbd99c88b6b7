"""Scores of every retriever, and their differences to the baseline with intervals.

Everything is computed from the scores of single queries (``QUERY_SCORES``); the benchmark's JSON
only confirms them, so that a file from another run cannot slip in unseen.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from tdro.artifacts import METRICS, QUERY_SCORES, read_json, read_table
from tdro.errors import UserError
from tdro.layout import Layout
from tdro.report.content import BASELINE, Content
from tdro.statistics import Interval, paired_bootstrap

#: Stands for all seeds in the place of a seed.
ALL_SEEDS = "all"
#: Stands for the macro average over a benchmark's datasets in the place of a dataset.
MEAN = "(mean)"
#: The macro average over all out-of-domain benchmarks, in the place of a benchmark.
OUT_OF_DOMAIN = "out_of_domain"

# Largest gap between a benchmark's JSON and the mean of its queries that rounding explains.
_ROUNDING = 1e-4

#: Scores of the queries of each (benchmark, dataset), shape (queries, metrics), sorted by query.
Scores = dict[tuple[str, str], np.ndarray]


@dataclass(frozen=True)
class Row:
    """One score and its difference to the baseline's; a row of ``results.csv``."""

    model: str
    mixture: str
    seed: int | str
    benchmark: str
    dataset: str
    metric: str
    queries: int
    score: float
    uniform: float
    interval: Interval | None


class Results:
    """All rows of a report, found by what they are about."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self._by_key = {(r.model, r.mixture, r.seed, r.benchmark, r.dataset, r.metric): r for r in rows}

    def find(
        self,
        model: str,
        mixture: str,
        benchmark: str,
        *,
        dataset: str = MEAN,
        metric: str = "ndcg_at_10",
        seed: int | str = ALL_SEEDS,
    ) -> Row:
        """The row of one retriever on one benchmark."""
        return self._by_key[model, mixture, seed, benchmark, dataset, metric]


def collect(settings: Content, layout: Layout) -> Results:
    """Read all scores and compare every mixture with the baseline.

    Raises:
        UserError: for a missing file, a dataset or query that only some retrievers were evaluated
            on, and scores that contradict the benchmark's JSON.
    """
    return Results([row for model in settings.models for row in _rows_of_model(settings, layout, model)])


def _rows_of_model(settings: Content, layout: Layout, model: str) -> list[Row]:
    scores = _read_model(settings, layout, model)
    one = len(settings.seeds) == 1
    rows = [
        _compare(
            Row(model, mixture, seed, benchmark, dataset, metric, 0, 0.0, 0.0, None),
            _columns(scores[mixture, seed], pairs, metric),
            _columns(scores[BASELINE, seed], pairs, metric),
            settings,
        )
        for benchmark, dataset, pairs in _groups(settings)
        for mixture in settings.mixtures
        for seed in ([ALL_SEEDS] if one else [ALL_SEEDS, *settings.seeds])
        for metric in METRICS
    ]
    # The only seed is all seeds: no need to resample again.
    return rows + [replace(row, seed=settings.seeds[0]) for row in rows if one]


def _groups(settings: Content) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """What is averaged: benchmark, dataset, and the (benchmark, dataset) pairs behind them."""
    groups = []
    for benchmark, datasets in settings.benchmarks.items():
        pairs = [(benchmark, dataset) for dataset in datasets]
        groups += [(benchmark, MEAN, pairs), *((benchmark, pair[1], [pair]) for pair in pairs)]
    outside = [(b, dataset) for b in settings.out_of_domain for dataset in settings.benchmarks[b]]
    return [*groups, (OUT_OF_DOMAIN, MEAN, outside)] if outside else groups


def _columns(scores: Scores, pairs: list[tuple[str, str]], metric: str) -> dict[str, np.ndarray]:
    """One metric of the queries of each dataset."""
    return {"/".join(pair): scores[pair][:, METRICS.index(metric)] for pair in pairs}


def _compare(row: Row, here: dict[str, np.ndarray], base: dict[str, np.ndarray], settings: Content) -> Row:
    """``row`` with its number of queries, scores and interval."""
    interval = None
    if row.mixture != BASELINE:
        interval = paired_bootstrap(
            {name: here[name] - base[name] for name in here},
            samples=settings.report.bootstrap_samples,
            confidence=settings.report.confidence,
            seed=settings.report.seed,
        )
    score, uniform = (float(np.mean([values.mean() for values in side.values()])) for side in (here, base))
    queries = sum(len(values) for values in here.values())
    return replace(row, queries=queries, score=score, uniform=uniform, interval=interval)


def _read_model(settings: Content, layout: Layout, model: str) -> dict[tuple[str, int | str], Scores]:
    """Scores of each mixture and seed, and of each mixture averaged over seeds query by query."""
    expected: dict[tuple[str, str], list[str]] = {}
    scores: dict[tuple[str, int | str], Scores] = {}
    for mixture in settings.mixtures:
        for seed in settings.seeds:
            scores[mixture, seed] = {}
            for benchmark, datasets in settings.benchmarks.items():
                path = layout.query_scores(model, seed, mixture, benchmark)
                read = _read_queries(path, datasets)
                _confirm(layout.scores(model, seed, mixture, benchmark), read)
                for dataset, (queries, values) in read.items():
                    _require_same(path, dataset, queries, expected.setdefault((benchmark, dataset), queries))
                    scores[mixture, seed][benchmark, dataset] = values
        runs = [scores[mixture, seed] for seed in settings.seeds]
        scores[mixture, ALL_SEEDS] = {pair: np.mean([run[pair] for run in runs], axis=0) for pair in runs[0]}
    return scores


def _read_queries(path: str, datasets: list[str]) -> dict[str, tuple[list[str], np.ndarray]]:
    """Query ids and scores, shape (queries, metrics), of each dataset of a benchmark."""
    frame = pl.DataFrame(read_table(path, QUERY_SCORES)).sort("dataset", "query_id")
    parts = {key[0]: part for key, part in frame.partition_by("dataset", as_dict=True).items()}
    if set(parts) != set(datasets):
        raise UserError(
            f"{path} holds scores of {', '.join(sorted(parts)) or 'no dataset'}, but the report expects "
            f"{', '.join(sorted(datasets))}. Delete the file and let the workflow evaluate again."
        )
    if not frame.select(pl.all_horizontal(pl.col(METRICS).is_finite().fill_null(False)).all()).item():
        raise UserError(f"{path} holds a score that is no finite number. Delete the file and evaluate again.")
    return {d: (parts[d]["query_id"].to_list(), parts[d].select(METRICS).to_numpy()) for d in datasets}


def _confirm(path: str, read: dict[str, tuple[list[str], np.ndarray]]) -> None:
    """The benchmark's JSON must state what its queries say."""
    stated = read_json(path).get("datasets", {})
    for dataset, (_, values) in read.items():
        for metric, mean in zip(METRICS, values.mean(axis=0), strict=True):
            value = stated.get(dataset, {}).get(metric)
            if not isinstance(value, int | float) or abs(value - mean) > _ROUNDING:
                raise UserError(
                    f"{path} states {metric} {value} of {dataset!r}, but the scores of its queries average "
                    f"{mean:.4f}: the two files are of different runs. Delete both and evaluate again."
                )


def _require_same(path: str, dataset: str, queries: list[str], expected: list[str]) -> None:
    """Paired differences need the same queries from every retriever."""
    if len(set(queries)) != len(queries):
        raise UserError(f"{path} names a query of {dataset!r} twice. Delete the file and evaluate again.")
    if queries != expected:
        odd = sorted(set(queries) ^ set(expected))
        raise UserError(
            f"{path} and the evaluation of another retriever differ in the queries of {dataset!r}, for example "
            f"{odd[0]!r}; a paired comparison needs the same ones. Delete both and evaluate again."
        )
