"""Tables of scores: on the page, in the terminal, and as CSV."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from tdro.artifacts.files import replacing
from tdro.artifacts.layout import IN_DOMAIN
from tdro.config.commands import BASELINE, Content
from tdro.formats import METRIC_NAMES, count, percent, plural, probability, signed
from tdro.report.comparison import bounds
from tdro.report.scores import UNTRAINED, Results, Row
from tdro.report.subjects import OUT_OF_DOMAIN

_WIDTH = 120
# Mixtures beside the baseline that fit the terminal's width.
_MIXTURES_A_TABLE = 2


@dataclass(frozen=True)
class Cell:
    """A score as it is shown; ``verdict`` is gain, loss, unclear, or empty where nothing is decided."""

    score: str
    difference: str = ""
    interval: str = ""
    p: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a table: its heading, its cells, and a remark beside the heading."""

    heading: str
    cells: list[Cell]
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Lines that belong together, such as those of one model."""

    heading: str
    lines: list[Line]


@dataclass(frozen=True)
class Column:
    """A benchmark or an average as a column."""

    benchmark: str
    heading: str
    note: str = ""


def columns(settings: Content) -> list[Column]:
    """In-domain average, each out-of-domain benchmark, the suites, and the out-of-domain average of several."""
    shown = []
    if IN_DOMAIN in settings.benchmarks:
        shown.append(Column(IN_DOMAIN, "in domain", f"mean of {plural(len(settings.benchmarks[IN_DOMAIN]), 'task')}"))
    for name in settings.out_of_domain:
        parts = len(settings.benchmarks[name])
        shown.append(Column(name, name, f"mean of {plural(parts, 'part')}" if parts > 1 else ""))
    averages = [(suite, suite, members) for suite, members in settings.suites.items()]
    averages.append((OUT_OF_DOMAIN, "out of domain", settings.out_of_domain))
    shown += [
        Column(key, heading, f"mean of {plural(len(members), 'benchmark')}")
        for key, heading, members in averages
        if len(members) > 1
    ]
    return shown


def cell(row: Row) -> Cell:
    """A row of the results as it is shown."""
    if row.difference is None:
        return Cell(f"{row.score:.3f}")
    p = probability(row.difference.p) + ("" if row.holm is None else f", Holm {probability(row.holm)[2:]}")
    return Cell(f"{row.score:.3f}", signed(row.difference.mean), bounds(row.difference), p, row.verdict)


def by_mixture(settings: Content, results: Results, metric: str | None = None) -> list[Group]:
    """One group a model, one line a mixture, one cell a column of :func:`columns`.

    Without a metric each column shows its main one; with one, columns that lack it show a dash. The
    first group holds the retrievers that nothing was trained for, if there are any.
    """

    def line(model: str, mixture: str, heading: str, note: str = "") -> Line:
        return Line(heading, [_cell(results, model, mixture, c.benchmark, metric) for c in columns(settings)], note)

    untrained = [line(name, UNTRAINED, name) for name in settings.untrained]
    groups = [Group(UNTRAINED, untrained)] if untrained else []
    for model in settings.models:
        lines = [line(model, m, m, "baseline" if m == BASELINE else "") for m in settings.mixtures]
        groups.append(Group(model, lines))
    return groups


def _cell(results: Results, model: str, mixture: str, benchmark: str, metric: str | None) -> Cell:
    if metric and metric not in results.metrics(benchmark):
        return Cell("-")
    return cell(results.find(model, mixture, benchmark, metric=metric))


def main_metrics(settings: Content, results: Results) -> str:
    """The metric that a table of main metrics shows: ``nDCG@10; Acc@100 of mkqa``."""
    of: dict[str, list[str]] = {}
    for column in columns(settings):
        of.setdefault(results.metrics(column.benchmark)[0], []).append(column.heading)
    first, *others = sorted(of, key=list(METRIC_NAMES).index)
    return "; ".join([METRIC_NAMES[first], *(f"{METRIC_NAMES[name]} of {', '.join(of[name])}" for name in others)])


def further_metrics(settings: Content, results: Results) -> list[str]:
    """All other metrics, and the first benchmark's main one where it is not that of all."""
    known = [results.metrics(column.benchmark) for column in columns(settings)]
    everywhere = {metrics[0] for metrics in known if all(m[0] == metrics[0] for m in known)}
    found = dict.fromkeys(metric for metrics in known for metric in metrics)
    return [metric for metric in found if metric not in everywhere]


def by_dataset(settings: Content, results: Results) -> list[Group]:
    """One group a model, one line a task with held-out rows, one cell a mixture: nDCG@10."""
    return [
        Group(
            model,
            [
                Line(
                    task,
                    [cell(results.find(model, m, IN_DOMAIN, dataset=task)) for m in settings.mixtures],
                    plural(results.find(model, BASELINE, IN_DOMAIN, dataset=task).queries, "query", "queries"),
                )
                for task in settings.benchmarks.get(IN_DOMAIN, [])
            ],
        )
        for model in settings.models
    ]


def by_seed(settings: Content, results: Results) -> list[Group]:
    """One group a model and mixture, one line a seed: differences to the baseline of the same seed.

    The last line is that of the main table, of all seeds.
    """
    return [
        Group(
            f"{model}, {mixture}",
            [
                *(_seed_line(settings, results, model, mixture, f"seed {seed}", seed=seed) for seed in settings.seeds),
                _seed_line(settings, results, model, mixture, "all seeds"),
            ],
        )
        for model in settings.models
        for mixture in settings.challengers
    ]


def _seed_line(settings: Content, results: Results, model: str, mixture: str, heading: str, **seed) -> Line:
    found = [results.find(model, mixture, column.benchmark, **seed) for column in columns(settings)]
    return Line(heading, [cell(row) for row in found])


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Every row with full precision; what is compared with nothing has no difference."""
    frame = pl.DataFrame([_record(row) for row in rows], infer_schema_length=None)
    with replacing(path) as temporary:
        frame.write_csv(temporary)


def _record(row: Row) -> dict:
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
        "p_holm": row.holm,
        "comparisons": row.comparisons,
        "verdict": row.verdict,
    }


def plain_console(output: StringIO) -> Console:
    """What prints plain ASCII of a fixed width, whatever the terminal."""
    return Console(file=output, width=_WIDTH, color_system=None, force_terminal=False, markup=False, emoji=False)


def terminal(settings: Content, results: Results) -> str:
    """Each benchmark (rows) and mixture (columns) as plain ASCII, at most 120 columns wide."""
    output = StringIO()
    console = plain_console(output)
    blocks = [
        settings.challengers[start : start + _MIXTURES_A_TABLE]
        for start in range(0, max(1, len(settings.challengers)), _MIXTURES_A_TABLE)
    ]
    metric = main_metrics(settings, results)
    if settings.untrained:
        console.print(f"{UNTRAINED}, {metric}", highlight=False)
        console.print(_terminal_table(settings, results, [(name, UNTRAINED, name) for name in settings.untrained]))
    for model in settings.models:
        seeds = f"{plural(len(settings.seeds), 'seed')} ({', '.join(map(str, settings.seeds))})"
        console.print(f"{model}, {metric}, {seeds}", highlight=False)
        for challengers in blocks:
            retrievers = [(model, mixture, mixture) for mixture in (BASELINE, *challengers)]
            console.print(_terminal_table(settings, results, retrievers))
    if settings.challengers:
        console.print(_terminal_note(settings), highlight=False)
    return output.getvalue()


def _terminal_note(settings: Content) -> str:
    level = settings.report.confidence
    over = "queries and seeds" if len(settings.seeds) > 1 else "queries"
    return (
        f"Differences are to {BASELINE}, with {percent(level)} intervals over {over}; * marks p < {1 - level:.2g}, "
        "corrected (Holm) for all comparisons of a model, and an interval without zero."
    )


def _terminal_table(settings: Content, results: Results, retrievers: list[tuple[str, str, str]]) -> Table:
    """One column a retriever: its model, its mixture, its heading."""
    table = Table(box=box.ASCII2)
    table.add_column("benchmark", overflow="fold")
    table.add_column("queries", justify="right")
    for _, _, heading in retrievers:
        table.add_column(heading, no_wrap=True)
    for column in columns(settings):
        rows = [results.find(model, mixture, column.benchmark) for model, mixture, _ in retrievers]
        table.add_row(column.heading, count(rows[0].queries), *map(_terminal_cell, rows))
    return table


def _terminal_cell(row: Row) -> str:
    shown = cell(row)
    mark = "*" if shown.verdict in ("gain", "loss") else ""
    return " ".join(part for part in (shown.score, shown.difference, shown.interval, mark) if part)
