"""Scores of every retriever, and how surely they differ from the baseline's: the rows of ``results.csv``.

Three things have rows: a dataset, a benchmark (the mean over its datasets), and averages over benchmarks (of a suite,
and of all that are out of domain), to which every benchmark counts the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from tdro.artifacts.files import replacing
from tdro.artifacts.schemas import METRICS, at_dimension
from tdro.config.commands import BASELINE, Content
from tdro.evaluation.statistics import Difference
from tdro.report.scores.comparison import Judged, compare, judge
from tdro.report.scores.previews import is_preview
from tdro.report.scores.queries import ALL_SEEDS, UNTRAINED, Name, Retriever, Runs, Scored
from tdro.report.scores.subjects import MEAN, Subject, subjects


@dataclass(frozen=True)
class Row:
    """One score, and what it means beside the baseline's (:class:`tdro.report.scores.comparison.Judged`).

    With several seeds the rows of all seeds have the verdicts; those of one seed are what they are made of, and have
    neither ``holm`` nor ``verdict``. What is compared with nothing has no difference, either.
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
    judged: Judged | None = None

    @property
    def difference(self) -> Difference | None:
        """The score minus the baseline's, with its interval and p."""
        return self.judged.difference if self.judged else None

    @property
    def verdict(self) -> str:
        """Gain, loss or unclear; empty where nothing is decided."""
        return self.judged.verdict if self.judged else ""


class Results:
    """All rows of a report, found by what they are about.

    Attributes:
        rows: Scores of whole embeddings.
        cuts: Those of embeddings cut to their first numbers, with metrics such as ``ndcg_at_10@256``. They decide
            nothing.
        dimensions: Dimension of the whole embeddings, of those that were cut.
    """

    def __init__(self, rows: list[Row], cuts: list[Row], dimensions: dict[Name, int]) -> None:
        self.rows, self.cuts, self.dimensions = rows, cuts, dimensions
        self._by_key = {(r.model, r.mixture, r.seed, r.benchmark, r.dataset, r.metric): r for r in [*rows, *cuts]}
        self._metrics: dict[str, set[str]] = {}
        for row in rows:
            self._metrics.setdefault(row.benchmark, set()).add(row.metric)

    def metrics(self, benchmark: str) -> list[str]:
        """Metrics of a benchmark or average, its main one first."""
        return sorted(self._metrics[benchmark], key=METRICS.index)

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


def collect(settings: Content, retrievers: Mapping[Name, Retriever]) -> Results:
    """Compare every mixture with the baseline."""
    rows: list[Row] = []
    for model in settings.models:
        rows += rows_of_model(settings, model, {m: retrievers[model, m].whole for m in settings.mixtures})
    untrained = [(name, UNTRAINED) for name in settings.untrained]
    for name in untrained:
        scores = retrievers[name].whole[ALL_SEEDS]
        rows += _rows((*name, ALL_SEEDS), subjects(settings, scores), scores)
    order = [*untrained, *(name for name in retrievers if name not in untrained)]
    cut = {name: retrievers[name] for name in order if retrievers[name].cuts}
    cuts = [row for name, retriever in cut.items() for row in _cut_rows(settings, name, retriever)]
    return Results(rows, cuts, {name: retriever.dimension for name, retriever in cut.items()})


def rows_of_model(settings: Content, model: str, runs: Mapping[str, Runs]) -> list[Row]:
    """All rows of one model: of every mixture, of all seeds and of each.

    Args:
        settings: What the report covers.
        model: Its name.
        runs: Scores of every mixture.
    """
    base = runs[BASELINE]
    about = subjects(settings, base[ALL_SEEDS])
    judged = judge(settings, about, {m: compare(settings, about, runs[m], base) for m in settings.challengers})
    rows: list[Row] = []
    for mixture in settings.mixtures:
        rows += _rows((model, mixture, ALL_SEEDS), about, runs[mixture][ALL_SEEDS], judged.get(mixture))
        for seed in settings.seeds if len(settings.seeds) > 1 else []:
            of_seed = None
            if mixture != BASELINE:
                of_seed = [Judged(found) for found in compare(settings, about, runs[mixture], base, seed)]
            rows += _rows((model, mixture, seed), about, runs[mixture][seed], of_seed)
    # The only seed is all seeds.
    return rows if len(settings.seeds) > 1 else rows + [replace(row, seed=settings.seeds[0]) for row in rows]


def _rows(
    name: tuple[str, str, int | str], about: Sequence[Subject], scores: Scored, judged: Sequence[Judged] | None = None
) -> list[Row]:
    """The score of every subject; ``name`` is a model, a mixture and a seed."""
    rows = []
    for place, subject in enumerate(about):
        queries, score = sum(len(scores[pair].values) for pair in subject.weights), subject.score(scores)
        found = judged[place] if judged else None
        uniform = score - found.difference.mean if found else score if name[1] == BASELINE else None
        rows.append(Row(*name, subject.benchmark, subject.dataset, subject.metric, queries, score, uniform, found))
    return rows


def _cut_rows(settings: Content, name: Name, retriever: Retriever) -> list[Row]:
    """The score of every subject of all seeds and of each, at each dimension."""
    return [
        replace(row, metric=at_dimension(row.metric, size), uniform=None)
        for size, runs in retriever.cuts.items()
        for seed, scores in runs.items()
        for row in _rows((*name, seed), subjects(settings, scores), scores)
    ]


def write_csv(path: Path, settings: Content, results: Results) -> None:
    """Every row with full precision; what is compared with nothing has no difference."""
    records = [_record(settings, row) for row in (*results.rows, *results.cuts)]
    frame = pl.DataFrame(records, infer_schema_length=None)
    with replacing(path) as temporary:
        frame.write_csv(temporary)


def _record(settings: Content, row: Row) -> dict:
    names = ("model", "mixture", "seed", "benchmark", "dataset", "metric")
    return {
        **{name: str(getattr(row, name)) for name in names},
        "queries": row.queries,
        "score": row.score,
        "uniform": row.uniform,
        "difference": row.difference and row.difference.mean,
        "low": row.difference and row.difference.low,
        "high": row.difference and row.difference.high,
        "p": row.difference and row.difference.p,
        "p_holm": row.judged and row.judged.holm,
        "comparisons": row.judged and row.judged.comparisons,
        "effect": row.difference and row.difference.effect,
        "verdict": row.verdict,
        "preview": "yes" if is_preview(settings, row.benchmark, row.dataset) else "",
    }
