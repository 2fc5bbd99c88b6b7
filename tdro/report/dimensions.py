"""Scores of embeddings cut to their first numbers, beside those of whole ones. They decide nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from tdro.artifacts.files import read_json
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import at_dimension
from tdro.config.commands import Content
from tdro.errors import UserError
from tdro.report.queries import Reader, averaged
from tdro.report.scores import ALL_SEEDS, UNTRAINED, Results, Row, plain_rows
from tdro.report.scoretables import Cell, Group, Line, columns
from tdro.report.subjects import MEAN, subjects


class _Files(NamedTuple):
    """Where the evaluations of a retriever lie, by what one job evaluated."""

    scores: Callable[[str], str]
    query_scores: Callable[[str], str]


@dataclass(frozen=True)
class Cuts:
    """Scores of cut embeddings.

    Attributes:
        rows: Those of ``results.csv``, with metrics such as ``ndcg_at_10@256``.
        whole: Dimension of the whole embeddings, by model and mixture; of those that can be cut.
    """

    rows: list[Row]
    whole: dict[tuple[str, str], int]


def collect(settings: Content, layout: Layout) -> Cuts:
    """Read the scores at each dimension of every retriever whose embeddings have more.

    Raises:
        UserError: for scores that were made without these dimensions; and see :meth:`tdro.report.queries.Reader.read`.
    """
    rows, whole, reader = [], {}, Reader(settings.benchmarks)
    for (model, mixture), runs in _retrievers(settings, layout) if settings.dimensions else ():
        dimension = _dimension(settings, next(iter(runs.values())))
        sizes = [size for size in settings.dimensions if size < dimension]
        for size in sizes:
            rows += _rows(settings, reader, (model, mixture), runs, size)
        whole |= {(model, mixture): dimension} if sizes else {}
    return Cuts(rows, whole)


def _retrievers(settings: Content, layout: Layout) -> Iterator[tuple[tuple[str, str], dict[int | str, _Files]]]:
    """Model and mixture of every retriever that embeds, and its files by seed, untrained ones first."""
    for name in settings.untrained:
        if name != "bm25":
            files = _Files(partial(layout.untrained_scores, name), partial(layout.untrained_query_scores, name))
            yield (name, UNTRAINED), {ALL_SEEDS: files}
    for model in settings.models:
        for mixture in settings.mixtures:
            runs = {seed: (model, seed, mixture) for seed in settings.seeds}
            yield (
                (model, mixture),
                {
                    s: _Files(partial(layout.scores, *run), partial(layout.query_scores, *run))
                    for s, run in runs.items()
                },
            )


def _dimension(settings: Content, files: _Files) -> int:
    """Of the whole embeddings, as an evaluation states it."""
    benchmark, datasets = next(iter(settings.benchmarks.items()))
    path = files.scores(Layout.evaluated(benchmark, datasets[0]))
    dimension = read_json(path).get("dimension")
    if not isinstance(dimension, int):
        raise UserError(
            f"{path} was made without `evaluation.dimensions`; delete it and let the workflow evaluate again."
        )
    return dimension


def _rows(
    settings: Content, reader: Reader, name: tuple[str, str], runs: dict[int | str, _Files], size: int
) -> list[Row]:
    """Rows of all seeds and of each, at one dimension."""
    scores = {seed: reader.read(*files, size) for seed, files in runs.items()}
    scores = {ALL_SEEDS: averaged(list(scores.values()))} | scores
    about = subjects(settings, scores[ALL_SEEDS])
    rows = [row for seed, found in scores.items() for row in plain_rows((*name, seed), about, found)]
    return [replace(row, metric=at_dimension(row.metric, size)) for row in rows]


def by_dimension(settings: Content, results: Results, cuts: Cuts) -> list[Group]:
    """One group a retriever, one line a dimension, one cell a column of the main table: its main metric."""
    found = {
        (row.model, row.mixture, row.benchmark, row.metric): row
        for row in cuts.rows
        if (row.seed, row.dataset) == (ALL_SEEDS, MEAN)
    }
    groups = []
    for name, dimension in cuts.whole.items():
        whole = [results.find(*name, column.benchmark) for column in columns(settings)]
        lines = [Line(str(dimension), [Cell(f"{row.score:.3f}") for row in whole], "whole")]
        for size in settings.dimensions:
            if size < dimension:
                cut = [found[*name, row.benchmark, at_dimension(row.metric, size)] for row in whole]
                lines.append(Line(str(size), list(map(_cell, cut, whole))))
        groups.append(Group(", ".join(name), lines))
    return groups


def _cell(cut: Row, whole: Row) -> Cell:
    """A score, and its share of that of the whole embeddings."""
    return Cell(f"{cut.score:.3f}", f"{cut.score / whole.score:.1%}" if whole.score else "")
