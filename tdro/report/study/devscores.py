"""Dev scores of every retriever of a model, laid out as the report lays out those of benchmarks."""

from pathlib import Path

import numpy as np
import polars as pl

from tdro.artifacts.files import read_table
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import DEV_SCORES
from tdro.config.commands import RecommendJob
from tdro.errors import UserError
from tdro.report.scores.queries import Pair, Runs, Scored, Scores, over_seeds
from tdro.report.scores.subjects import MEAN, Subject

#: What choices are made by, and what is shown beside it: the dev loss with its sign changed, so that more is better.
RECIPROCAL_RANK, LOG_LIKELIHOOD = METRICS = ("reciprocal_rank", "log_likelihood")
#: The mean over everything under `dev`, in the place of a benchmark.
DEV = "dev"


def read(settings: RecommendJob, layout: Layout, model: str) -> dict[str, Runs]:
    """Scores of each mixture, of all seeds and of each.

    Raises:
        UserError: for a missing file, and for one that was made of other queries than the first.
    """
    expected: dict[Pair, list[int]] = {}
    return {
        mixture: over_seeds(
            {seed: _scored(settings, layout.dev_scores(model, seed, mixture), expected) for seed in settings.seeds}
        )
        for mixture in settings.mixtures
    }


def _scored(settings: RecommendJob, path: str | Path, expected: dict[Pair, list[int]]) -> Scored:
    frame = pl.DataFrame(read_table(path, DEV_SCORES)).sort("dataset", "query")
    parts = {key[0]: part for key, part in frame.partition_by("dataset", as_dict=True).items()}
    found = {}
    for pair in pairs(settings):
        part = parts.get(pair[1], frame.clear())
        queries = part["query"].to_list()
        if not queries or expected.setdefault(pair, queries) != queries:
            raise UserError(
                f"{path} and the dev scores of another retriever differ in the queries of {pair[1]!r}; a paired "
                "comparison needs the same ones. Delete both and let the workflow measure again."
            )
        values = part.select("reciprocal_rank", -pl.col("loss")).to_numpy()
        found[pair] = Scores(METRICS, np.ascontiguousarray(values), list(map(str, queries)))
    return found


def pairs(settings: RecommendJob) -> list[Pair]:
    """Everything under `dev` with each of its datasets."""
    return [(name, dataset) for name, datasets in settings.dev.items() for dataset in datasets]


def subjects(settings: RecommendJob) -> list[Subject]:
    """The mean over everything under `dev`, which decides, and each by itself; by each metric.

    As in the report, every name under `dev` counts the same, and within it every dataset. Verdicts on the mean are one
    family of comparisons, those on what it is made of are another.
    """
    found = []
    for place, metric in enumerate(METRICS):
        weights = {pair: 1 / len(settings.dev) / len(settings.dev[pair[0]]) for pair in pairs(settings)}
        found.append(Subject(DEV, MEAN, metric, weights, (DEV, place)))
        for name, datasets in settings.dev.items():
            alike = {(name, dataset): 1 / len(datasets) for dataset in datasets}
            found.append(Subject(name, MEAN, metric, alike, ("part", place)))
    return found
