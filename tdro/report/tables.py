"""Tables of scores: on the page, in the terminal, and as CSV."""

from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from tdro.artifacts import replacing
from tdro.registry import IN_DOMAIN
from tdro.report.content import BASELINE, Content
from tdro.report.formats import bounds, count, percent, plural, signed
from tdro.report.scores import OUT_OF_DOMAIN, Results, Row

_WIDTH = 120
# Mixtures beside the baseline that fit the terminal's width.
_MIXTURES_A_TABLE = 2


@dataclass(frozen=True)
class Cell:
    """A score as it is shown; ``verdict`` is gain, loss, unclear, or empty for the baseline."""

    score: str
    difference: str = ""
    interval: str = ""
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
    """In-domain average, each out-of-domain benchmark, and their average where there are several."""
    shown = []
    if IN_DOMAIN in settings.benchmarks:
        shown.append(Column(IN_DOMAIN, "in domain", f"mean of {plural(len(settings.benchmarks[IN_DOMAIN]), 'task')}"))
    shown += [Column(name, name) for name in settings.out_of_domain]
    if len(settings.out_of_domain) > 1:
        shown.append(
            Column(OUT_OF_DOMAIN, "out of domain", f"mean of {plural(len(settings.out_of_domain), 'benchmark')}")
        )
    return shown


def verdict(row: Row) -> str:
    """``gain`` or ``loss`` where the interval excludes zero, else ``unclear``; empty for the baseline."""
    if row.interval is None:
        return ""
    if not row.interval.excludes_zero:
        return "unclear"
    return "gain" if row.interval.low > 0 else "loss"


def cell(row: Row) -> Cell:
    """A row of the results as it is shown."""
    if row.interval is None:
        return Cell(f"{row.score:.3f}")
    return Cell(f"{row.score:.3f}", signed(row.interval.mean), bounds(row.interval), verdict(row))


def by_mixture(settings: Content, results: Results, metric: str) -> list[Group]:
    """One group a model, one line a mixture, one cell a column of :func:`columns`."""
    return [
        Group(
            model,
            [
                Line(
                    mixture,
                    [cell(results.find(model, mixture, c.benchmark, metric=metric)) for c in columns(settings)],
                    "baseline" if mixture == BASELINE else "",
                )
                for mixture in settings.mixtures
            ],
        )
        for model in settings.models
    ]


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
    """One group a model and mixture, one line a seed: differences to the baseline of the same seed."""
    return [
        Group(
            f"{model}, {mixture}",
            [
                Line(f"seed {s}", [cell(results.find(model, mixture, c.benchmark, seed=s)) for c in columns(settings)])
                for s in settings.seeds
            ],
        )
        for model in settings.models
        for mixture in settings.challengers
    ]


def write_csv(path: Path, results: Results) -> None:
    """Every row with full precision; the baseline's rows have no difference."""
    frame = pl.DataFrame(
        [
            {
                **{
                    key: str(getattr(row, key))
                    for key in ("model", "mixture", "seed", "benchmark", "dataset", "metric")
                },
                "queries": row.queries,
                "score": row.score,
                "uniform": row.uniform,
                "difference": row.interval and row.interval.mean,
                "low": row.interval and row.interval.low,
                "high": row.interval and row.interval.high,
            }
            for row in results.rows
        ]
    )
    with replacing(path) as temporary:
        frame.write_csv(temporary)


def terminal(settings: Content, results: Results) -> str:
    """nDCG@10 of each benchmark (rows) and mixture (columns) as plain ASCII, at most 120 columns wide."""
    output = StringIO()
    console = Console(file=output, width=_WIDTH, color_system=None, force_terminal=False, markup=False, emoji=False)
    blocks = [
        settings.challengers[start : start + _MIXTURES_A_TABLE]
        for start in range(0, max(1, len(settings.challengers)), _MIXTURES_A_TABLE)
    ]
    for model in settings.models:
        seeds = f"{plural(len(settings.seeds), 'seed')} ({', '.join(map(str, settings.seeds))})"
        console.print(f"{model}, nDCG@10, {seeds}", highlight=False)
        for challengers in blocks:
            console.print(_terminal_table(settings, results, model, [BASELINE, *challengers]))
    if settings.challengers:
        console.print(
            f"Differences are to {BASELINE}, with {percent(settings.report.confidence)} intervals over queries; "
            "* marks an interval without zero.",
            highlight=False,
        )
    return output.getvalue()


def _terminal_table(settings: Content, results: Results, model: str, mixtures: list[str]) -> Table:
    table = Table(box=box.ASCII2)
    table.add_column("benchmark", overflow="fold")
    table.add_column("queries", justify="right")
    for mixture in mixtures:
        table.add_column(mixture, no_wrap=True)
    for column in columns(settings):
        rows = [results.find(model, mixture, column.benchmark) for mixture in mixtures]
        table.add_row(column.heading, count(rows[0].queries), *map(_terminal_cell, rows))
    return table


def _terminal_cell(row: Row) -> str:
    shown = cell(row)
    mark = "*" if shown.verdict in ("gain", "loss") else ""
    return " ".join(part for part in (shown.score, shown.difference, shown.interval, mark) if part)
