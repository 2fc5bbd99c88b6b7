"""Scores of single queries, as the evaluations left them, checked so that they can be compared in pairs.

A benchmark's JSON only confirms them, so that a file from another run cannot slip in unseen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from tdro.artifacts.files import read_json, read_table
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import (
    ANSWER_METRICS,
    METRICS,
    QUERY_SCORES,
    RELEVANCE_METRICS,
    at_dimension,
    with_dimensions,
)
from tdro.errors import UserError

#: A benchmark and one of its datasets.
Pair = tuple[str, str]

# Largest gap between a dataset's JSON and the mean of its queries that rounding explains.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Scores:
    """What a dataset's queries scored: names of the metrics, and values of shape (queries, metrics) by query."""

    metrics: tuple[str, ...]
    values: np.ndarray

    def mean(self, metric: str) -> float:
        """Mean of a metric over the queries."""
        return self.values[:, self.metrics.index(metric)].mean()


class Reader:
    """Reads evaluations, all of which must be of the same queries.

    Args:
        benchmarks: Datasets of each benchmark.
    """

    def __init__(self, benchmarks: Mapping[str, list[str]]) -> None:
        self._benchmarks = benchmarks
        self._expected: dict[Pair, list[str]] = {}

    def read(
        self, scores: Callable[[str], str], query_scores: Callable[[str], str], dimension: int | None = None
    ) -> dict[Pair, Scores]:
        """Scores of one retriever on every dataset.

        Args:
            scores: Path of the JSON of what one job evaluated (see ``Layout.evaluated``).
            query_scores: Path of the Parquet beside it.
            dimension: Of embeddings cut to it; None means whole ones.

        Raises:
            UserError: for a missing file, a dataset or query that only some retrievers were evaluated
                on, a score that is no number, and scores that contradict the JSON.
        """
        found = {}
        for benchmark, datasets in self._benchmarks.items():
            jobs: dict[str, list[str]] = {}
            for dataset in datasets:
                jobs.setdefault(Layout.evaluated(benchmark, dataset), []).append(dataset)
            for job, members in jobs.items():
                read = _read_queries(query_scores(job), members, dimension)
                _confirm(scores(job), read, dimension)
                for dataset, (queries, part) in read.items():
                    self._require_same(query_scores(job), (benchmark, dataset), queries)
                    found[benchmark, dataset] = part
        return found

    def _require_same(self, path: str, pair: Pair, queries: list[str]) -> None:
        """Paired differences need the same queries from every retriever."""
        expected = self._expected.setdefault(pair, queries)
        if len(set(queries)) != len(queries):
            raise UserError(f"{path} names a query of {pair[1]!r} twice. Delete the file and evaluate again.")
        if queries != expected:
            odd = sorted(set(queries) ^ set(expected))
            raise UserError(
                f"{path} and the evaluation of another retriever differ in the queries of {pair[1]!r}, for example "
                f"{odd[0]!r}; a paired comparison needs the same ones. Delete both and evaluate again."
            )


def _read_queries(path: str, datasets: list[str], dimension: int | None) -> dict[str, tuple[list[str], Scores]]:
    """Query ids and scores of each dataset that one job evaluated."""
    table = read_table(path, with_dimensions([dimension] if dimension else []))
    if dimension:
        table = table.drop_columns(list(METRICS)).rename_columns(QUERY_SCORES.names)
    frame = pl.DataFrame(table).sort("dataset", "query_id")
    parts = {key[0]: part for key, part in frame.partition_by("dataset", as_dict=True).items()}
    if set(parts) != set(datasets):
        raise UserError(
            f"{path} holds scores of {', '.join(sorted(parts)) or 'nothing'}, but the report expects "
            f"{', '.join(sorted(datasets))}. Delete the file and let the workflow evaluate again."
        )
    return {d: (parts[d]["query_id"].to_list(), _scores(path, parts[d])) for d in datasets}


def _scores(path: str, frame: pl.DataFrame) -> Scores:
    by_answer = frame[ANSWER_METRICS[0]].null_count() < len(frame)
    metrics = ANSWER_METRICS if by_answer else RELEVANCE_METRICS
    if not frame.select(pl.all_horizontal(pl.col(metrics).is_finite().fill_null(False)).all()).item():
        raise UserError(f"{path} holds a score that is no finite number. Delete the file and evaluate again.")
    return Scores(metrics, frame.select(metrics).to_numpy())


def _confirm(path: str, read: dict[str, tuple[list[str], Scores]], dimension: int | None) -> None:
    """The JSON must state what its queries say."""
    stated = read_json(path).get("datasets", {})
    for dataset, (_, scores) in read.items():
        for metric, mean in zip(scores.metrics, scores.values.mean(axis=0), strict=True):
            metric = at_dimension(metric, dimension) if dimension else metric
            value = stated.get(dataset, {}).get(metric)
            if not isinstance(value, int | float) or abs(value - mean) > _ROUNDING:
                raise UserError(
                    f"{path} states {metric} {value} of {dataset!r}, but the scores of its queries average "
                    f"{mean:.4f}: the two files are of different runs. Delete both and evaluate again."
                )


def averaged(runs: list[dict[Pair, Scores]]) -> dict[Pair, Scores]:
    """Each query's mean over several runs, such as those of the seeds."""
    return {
        pair: Scores(scores.metrics, np.mean([run[pair].values for run in runs], axis=0))
        for pair, scores in runs[0].items()
    }


#: Every metric, in the order in which tables show them.
ORDER = {metric: place for place, metric in enumerate(METRICS)}
