"""Scores of every retriever, and how surely they differ from the baseline's.

Everything is computed from the scores of single queries. Three things have rows: a dataset, a
benchmark (the mean over its datasets), and averages over benchmarks (of a suite, and of all that
are out of domain), to which every benchmark counts the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tdro.artifacts.layout import Layout
from tdro.config.commands import BASELINE, Content
from tdro.evaluation.statistics import Difference
from tdro.report.comparison import compare, correct, score, verdict
from tdro.report.queries import ORDER, Pair, Reader, Scores, averaged
from tdro.report.subjects import MEAN, Subject, subjects

#: Stands for all seeds in the place of a seed.
ALL_SEEDS = "all"
#: Stands in the place of a mixture for a retriever that nothing was trained for.
UNTRAINED = "untrained"

#: Scores of every dataset, by mixture and seed.
Runs = dict[tuple[str, int | str], dict[Pair, Scores]]


@dataclass(frozen=True)
class Row:
    """One score and its difference to the baseline's; a row of ``results.csv``.

    With several seeds the rows of all seeds have the verdicts; those of one seed are what they are made of, and have
    neither ``holm`` nor ``verdict``.

    Attributes:
        difference: With its one interval and p (:func:`tdro.evaluation.statistics.combine`); None where there is none.
        holm: p corrected for all comparisons of the same family (:class:`tdro.report.subjects.Subject`).
        comparisons: How many these are.
        verdict: Gain or loss where ``holm`` is below 1 minus the confidence and the interval leaves out zero, else
            unclear; empty where nothing is compared.
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
    comparisons: int | None = None
    verdict: str = ""


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
    rows = []
    for model in settings.models:
        rows += rows_of_model(settings, model, _read_model(settings, layout, reader, model))
    for name in settings.untrained:
        scores = reader.read(
            lambda job, name=name: layout.untrained_scores(name, job),
            lambda job, name=name: layout.untrained_query_scores(name, job),
        )
        rows += plain_rows((name, UNTRAINED, ALL_SEEDS), subjects(settings, scores), scores)
    return Results(rows)


def rows_of_model(settings: Content, model: str, runs: Runs) -> list[Row]:
    """All rows of one model: of every mixture, of all seeds and of each.

    Args:
        settings: What the report covers.
        model: Its name.
        runs: Scores of every mixture and seed.
    """
    about = subjects(settings, runs[BASELINE, settings.seeds[0]])
    rows: list[Row] = []
    for mixture in settings.mixtures:
        if len(settings.seeds) > 1:
            rows += _rows_of_run(settings, about, (model, mixture, ALL_SEEDS), runs, settings.seeds)
        for seed in settings.seeds:
            rows += _rows_of_run(settings, about, (model, mixture, seed), runs, [seed])
    if len(settings.seeds) == 1:  # the only seed is all seeds
        rows = [replace(row, seed=ALL_SEEDS) for row in rows]
    rows = _judged(settings, about, rows)
    return rows if len(settings.seeds) > 1 else rows + [replace(row, seed=settings.seeds[0]) for row in rows]


def _read_model(settings: Content, layout: Layout, reader: Reader, model: str) -> Runs:
    """Scores of each mixture and seed."""
    runs: Runs = {}
    for mixture in settings.mixtures:
        for seed in settings.seeds:
            key = (model, seed, mixture)
            runs[mixture, seed] = reader.read(
                lambda job, key=key: layout.scores(*key, job), lambda job, key=key: layout.query_scores(*key, job)
            )
    return runs


def _rows_of_run(
    settings: Content, about: Sequence[Subject], name: tuple, runs: Runs, seeds: Sequence[int]
) -> list[Row]:
    """Rows of one mixture over some seeds, with their differences to the baseline."""
    mixture = name[1]
    rows = plain_rows(name, about, averaged([runs[mixture, seed] for seed in seeds]))
    if mixture == BASELINE:
        return [replace(row, uniform=row.score) for row in rows]
    differences = compare(settings, about, [(runs[mixture, seed], runs[BASELINE, seed]) for seed in seeds])
    return [replace(r, uniform=r.score - d.mean, difference=d) for r, d in zip(rows, differences, strict=True)]


def plain_rows(name: tuple, about: Sequence[Subject], scores: dict[Pair, Scores]) -> list[Row]:
    """The score of every subject; ``name`` is a model, a mixture and a seed."""
    return [
        Row(
            *name,
            subject.benchmark,
            subject.dataset,
            subject.metric,
            sum(len(scores[pair].values) for pair in subject.weights),
            score(subject, scores),
        )
        for subject in about
    ]


def _judged(settings: Content, about: Sequence[Subject], rows: list[Row]) -> list[Row]:
    """``rows`` of one model, those of all seeds with the corrected p and the verdict."""
    by_key = {(subject.benchmark, subject.dataset, subject.metric): subject for subject in about}
    compared = [place for place, row in enumerate(rows) if row.seed == ALL_SEEDS and row.difference]
    corrected = correct(
        [(r.mixture, by_key[r.benchmark, r.dataset, r.metric], r.difference.p) for r in (rows[i] for i in compared)]
    )
    judged = list(rows)
    for place, (p, number) in zip(compared, corrected, strict=True):
        decided = verdict(settings, rows[place].difference, p)
        judged[place] = replace(rows[place], holm=p, comparisons=number, verdict=decided)
    return judged
