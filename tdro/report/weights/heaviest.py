"""The rows that moved the weights: a handful of odd rows can decide how much of a dataset is sampled."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from tdro.artifacts.files import read_rows, read_table
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import CORPUS, HEAVIEST, QUERIES
from tdro.config.commands import Content
from tdro.data.echoes import nearly
from tdro.dro.heaviest import HEAVIEST_ROWS
from tdro.formats import cut, listed, percent
from tdro.report.weights.stability import carried_by_few
from tdro.text.relations import said
from tdro.text.strings import passage_text

#: How a positive repeats its query (:mod:`tdro.data.echoes`).
SAME, NEARLY = "says the same as the query", "nearly says the same as the query"
# Rows shown of a task that few rows carry, and of any other.
_OF_FEW, _OF_OTHERS = 8, 2


@dataclass(frozen=True)
class HeavyRow:
    """A row and its part in what moved its task's weight, mean over the seeds.

    ``times`` sets it against the task's average row; ``echo`` is empty, or says how the positive repeats the query.
    """

    task: str
    query: str
    positive: str
    share: str
    times: str
    loss: str
    echo: str


@dataclass(frozen=True)
class HeavyRows:
    """Rows of the tasks that few rows carry, and of the others; ``warning`` is a sentence, or empty."""

    few: list[HeavyRow]
    others: list[HeavyRow]
    warning: str


def heavy_rows(settings: Content, layout: Layout, courses: Mapping[int, pl.DataFrame]) -> HeavyRows:
    """The heaviest rows of every task, with their texts.

    Args:
        settings: What the report covers.
        layout: Where the results lie.
        courses: Trajectory of each seed; empty when nothing was learnt.

    Raises:
        UserError: when a file is missing or was made from other data.
    """
    if not courses:
        return HeavyRows([], [], "")
    rows = _over_seeds(settings, layout, list(courses))
    few = [task for task, _, _ in carried_by_few(courses)]
    tasks = [*few, *sorted(set(rows["task"]) - set(few))]
    shown = {
        task: _with_texts(
            layout, task, rows.filter(pl.col("task") == task).head(_OF_FEW if task in few else _OF_OTHERS)
        )
        for task in tasks
    }
    odd, others = ([row for task in tasks if (task in few) == side for row in shown[task]] for side in (True, False))
    return HeavyRows(odd, others, _warning([*odd, *others]))


def _over_seeds(settings: Content, layout: Layout, seeds: list[int]) -> pl.DataFrame:
    """Rows of all seeds, the heaviest of each task first; a row that one seed has not drawn has no share there."""
    paths = [layout.run(settings.proxy, seed, f"tdro/{HEAVIEST_ROWS}") for seed in seeds]
    rows = pl.concat([pl.DataFrame(read_table(path, HEAVIEST)) for path in paths])
    found = rows.group_by("task", "query", "positive", maintain_order=True).agg(
        pl.col("share").sum() / len(seeds), pl.col("reference_loss").mean(), pl.col("rows").mean()
    )
    return found.sort("task", "share", "query", descending=[False, True, False])


def _with_texts(layout: Layout, task: str, rows: pl.DataFrame) -> list[HeavyRow]:
    queries = read_rows(layout.task(task, "queries.parquet"), QUERIES, rows["query"])
    passages = read_rows(layout.task(task, "corpus.parquet"), CORPUS, rows["positive"])
    return [
        _row(task, row, queries[row["query"]]["query"], passages[row["positive"]]) for row in rows.iter_rows(named=True)
    ]


def _row(task: str, row: dict, query: str, passage: dict) -> HeavyRow:
    positive = passage_text(passage["title"] or "", passage["text"] or "")
    times = row["share"] * row["rows"]
    return HeavyRow(
        task,
        cut(query),
        cut(positive),
        percent(round(row["share"], 3)),
        f"{times:.0f}" if times >= 9.95 else f"{times:.1f}",
        f"{row['reference_loss']:.2g}",
        _echo(query, passage["text"] or ""),
    )


def _echo(query: str, positive: str) -> str:
    one, other = said(query), said(positive)
    return SAME if one == other else NEARLY if nearly(one, other) else ""


def _warning(rows: list[HeavyRow]) -> str:
    tasks = list(dict.fromkeys(row.task for row in rows if row.echo))
    if not tasks:
        return ""
    key = "same" if all(row.echo in ("", SAME) for row in rows) else "near"
    return (
        f"Among the heaviest rows of {listed(tasks)} are some whose positive repeats the query. There is nothing to "
        "learn from them: the reference's loss on them is almost 0, and under tdro.measure released a loss is divided "
        "by it, so that such rows lift the weight of the whole task. "
        f"data.drop_echoes: {key} leaves them out of the training."
    )
