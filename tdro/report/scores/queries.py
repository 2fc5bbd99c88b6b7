"""Scores of single queries, as the evaluations left them: read once, and checked so that they can be compared in pairs.

A benchmark's JSON only confirms them, so that a file from another run cannot slip in unseen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from tdro.artifacts.files import column_names, read_json, read_table
from tdro.artifacts.layout import EvaluationFiles, Layout, evaluation_files, sampled
from tdro.artifacts.schemas import ANSWER_METRICS, FIRST, RELEVANCE_METRICS, at_dimension, with_dimensions
from tdro.config.commands import Content
from tdro.errors import UserError

#: Stands for all seeds in the place of a seed.
ALL_SEEDS = "all"
#: Stands in the place of a mixture for a retriever that nothing was trained for.
UNTRAINED = "untrained"

#: A benchmark and one of its datasets.
Pair = tuple[str, str]
#: A model and a mixture.
Name = tuple[str, str]
_Folders = dict[Name, dict[int | str, str]]

# Largest gap between a dataset's JSON and the mean of its queries that rounding explains.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Scores:
    """What a dataset's queries scored.

    Attributes:
        metrics: Their names.
        values: Shape (queries, metrics), by query.
        queries: Identifiers of the queries, in the same order.
        first: Rows of the passages that each query found first, shape (queries, 3), -1 where there is none; None of a
            mean, and where an evaluation of before has not left them.
    """

    metrics: tuple[str, ...]
    values: np.ndarray
    queries: Sequence[str]
    first: np.ndarray | None = None

    def mean(self, metric: str) -> float:
        """Mean of a metric over the queries."""
        return self.values[:, self.metrics.index(metric)].mean()


#: Scores of one retriever on every dataset.
Scored = dict[Pair, Scores]
#: The same under :data:`ALL_SEEDS`, each query's mean over the seeds, and by seed. What nothing was trained for has no
#: seed beside.
Runs = dict[int | str, Scored]


@dataclass(frozen=True)
class Retriever:
    """What the retrievers of one mixture scored, or one that nothing was trained for.

    Attributes:
        whole: Scores of embeddings as they are.
        dimension: Of these embeddings; None where none are cut.
        cuts: Scores of embeddings cut to each dimension below it.
    """

    whole: Runs
    dimension: int | None
    cuts: dict[int, Runs]


def read(settings: Content, layout: Layout) -> dict[Name, Retriever]:
    """Scores of every model and mixture, then of every untrained retriever: a model of the mixture ``untrained``.

    Raises:
        UserError: for a missing file, a dataset or query that only some retrievers were evaluated on, a score that is
            no number, scores that contradict the JSON, and scores that were made without the report's dimensions.
    """
    expected: dict[Pair, list[str]] = {}
    found = {}
    for name, folders in _folders(settings, layout).items():
        embeds = settings.dimensions and name != ("bm25", UNTRAINED)
        dimension = _dimension(settings, next(iter(folders.values()))) if embeds else None
        sizes = [size for size in settings.dimensions if dimension and size < dimension]
        read_runs = {seed: _read_run(settings, folder, sizes, expected) for seed, folder in folders.items()}
        whole, *cuts = (over_seeds({seed: run[size] for seed, run in read_runs.items()}) for size in (None, *sizes))
        found[name] = Retriever(whole, dimension, dict(zip(sizes, cuts, strict=True)))
    return found


def previews(settings: Content, layout: Layout) -> list[str]:
    """The datasets whose sampled corpus lacks passages; of a corpus that nobody knew to be small it may lack none."""
    folder = next(iter(next(iter(_folders(settings, layout).values())).values()))
    found = []
    for name in settings.sampled:
        path = evaluation_files(folder, sampled(name)).scores
        figures = read_json(path).get("datasets", {}).get(name, {})
        if "sampled_from" not in figures:
            raise UserError(f"{path} does not say what its corpus is a sample of; delete it and evaluate again.")
        if figures["passages"] < figures["sampled_from"]:
            found.append(name)
    return found


def over_seeds(runs: Runs) -> Runs:
    """Runs of some seeds with their mean before them."""
    if ALL_SEEDS in runs:
        return runs
    first, *others = runs.values()
    values = {pair: [scores.values, *(run[pair].values for run in others)] for pair, scores in first.items()}
    mean = {pair: replace(first[pair], values=np.mean(found, axis=0), first=None) for pair, found in values.items()}
    return {ALL_SEEDS: mean if others else first, **runs}


def _folders(settings: Content, layout: Layout) -> _Folders:
    """Where the evaluations of each retriever lie, by seed."""
    trained: _Folders = {
        (model, mixture): {seed: layout.evaluation(model, seed, mixture) for seed in settings.seeds}
        for model in settings.models
        for mixture in settings.mixtures
    }
    untrained: _Folders = {
        (name, UNTRAINED): {ALL_SEEDS: layout.untrained_evaluation(name)} for name in settings.untrained
    }
    return trained | untrained


def _dimension(settings: Content, folder: str) -> int:
    """Of the whole embeddings, as an evaluation states it."""
    benchmark, datasets = next(iter(settings.benchmarks.items()))
    path = evaluation_files(folder, Layout.evaluated(benchmark, datasets[0], settings.sampled)).scores
    dimension = read_json(path).get("dimension")
    if not isinstance(dimension, int):
        raise UserError(
            f"{path} was made without `evaluation.dimensions`; delete it and let the workflow evaluate again."
        )
    return dimension


def _read_run(
    settings: Content, folder: str, sizes: Sequence[int], expected: dict[Pair, list[str]]
) -> dict[int | None, Scored]:
    """Scores of whole embeddings (None) and of each size; ``expected`` gets the queries of what was not seen before."""
    found: dict[int | None, Scored] = {size: {} for size in (None, *sizes)}
    for benchmark, datasets in settings.benchmarks.items():
        jobs: dict[str, list[str]] = {}
        for dataset in datasets:
            jobs.setdefault(Layout.evaluated(benchmark, dataset, settings.sampled), []).append(dataset)
        for job, members in jobs.items():
            files = evaluation_files(folder, job)
            stated = read_json(files.scores).get("datasets", {})
            for dataset, frame in _by_dataset(files.query_scores, members, sizes).items():
                queries = frame["query_id"].to_list()
                of_all = expected.setdefault((benchmark, dataset), queries)
                _require_same(files.query_scores, dataset, queries, of_all)
                for size, scored in found.items():
                    values = _values(files, frame, size, stated.get(dataset, {}))
                    scored[benchmark, dataset] = Scores(*values, of_all, None if size else _first(frame))
    return found


def _by_dataset(path: str, datasets: list[str], sizes: Sequence[int]) -> dict[str, pl.DataFrame]:
    """The queries of each dataset that one job evaluated, by their ids."""
    schema = with_dimensions(sizes)
    if FIRST not in column_names(path):  # evaluated before it was kept
        schema = schema.remove(schema.get_field_index(FIRST))
    frame = pl.DataFrame(read_table(path, schema)).sort("dataset", "query_id")
    parts = {key[0]: part for key, part in frame.partition_by("dataset", as_dict=True).items()}
    if set(parts) != set(datasets):
        raise UserError(
            f"{path} holds scores of {', '.join(sorted(parts)) or 'nothing'}, but the report expects "
            f"{', '.join(sorted(datasets))}. Delete the file and let the workflow evaluate again."
        )
    return {dataset: parts[dataset] for dataset in datasets}


def _values(
    files: EvaluationFiles, frame: pl.DataFrame, size: int | None, stated: dict
) -> tuple[tuple[str, ...], np.ndarray]:
    """Metrics and scores of one dataset; its JSON must state what its queries say."""
    by_answer = frame[ANSWER_METRICS[0]].null_count() < len(frame)
    metrics = ANSWER_METRICS if by_answer else RELEVANCE_METRICS
    columns = [at_dimension(metric, size) if size else metric for metric in metrics]
    if not frame.select(pl.all_horizontal(pl.col(columns).is_finite().fill_null(False)).all()).item():
        raise UserError(
            f"{files.query_scores} holds a score that is no finite number. Delete the file and evaluate again."
        )
    # By query in memory, too, so that sums are added in one order whether or not they are over seeds.
    values = np.ascontiguousarray(frame.select(columns).to_numpy())
    for column, mean in zip(columns, values.mean(axis=0), strict=True):
        value = stated.get(column)
        if not isinstance(value, int | float) or abs(value - mean) > _ROUNDING:
            raise UserError(
                f"{files.scores} states {column} {value} of {frame['dataset'][0]!r}, but the scores of its queries "
                f"average {mean:.4f}: the two files are of different runs. Delete both and evaluate again."
            )
    return metrics, values


def _first(frame: pl.DataFrame) -> np.ndarray | None:
    if FIRST not in frame.columns:
        return None
    places = [pl.col(FIRST).list.get(place, null_on_oob=True).fill_null(-1).alias(str(place)) for place in range(3)]
    return frame.select(places).to_numpy()


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
