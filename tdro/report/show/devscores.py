"""What choices are made on: loss and rank of dev queries, of a retriever and of merged experts."""

from pathlib import Path
from typing import Any

import polars as pl
from rich.text import Text

from tdro.artifacts.files import check_columns, verified
from tdro.artifacts.schemas import DEV_SCORES, EXPERT_SCORES
from tdro.formats import count, plural
from tdro.report.show import beside
from tdro.report.show.drawing import bar, figure, heading, table
from tdro.report.show.examples import shortened
from tdro.report.show.peek import USUAL, wanted
from tdro.report.show.view import Asked, View

_BAR = 20


def retriever(path: Path, asked: Asked) -> View:
    """Means of each dev set, then the queries with the largest losses."""
    check_columns(path, DEV_SCORES)
    means = pl.scan_parquet(verified(path)).group_by("dataset", maintain_order=True)
    sets = means.agg(pl.len().alias("queries"), pl.col("loss", "reciprocal_rank").mean()).collect().to_dicts()
    shown = table("dev set", "queries", "loss", "reciprocal rank", "")
    for one in sets:
        drawn = Text(bar(one["reciprocal_rank"], asked.bar(_BAR)), "cyan")
        shown.add_row(
            one["dataset"], count(one["queries"]), figure(one["loss"], 3), figure(one["reciprocal_rank"], 3), drawn
        )
    worst = _with_texts(path, _worst(path, asked))
    said = f"row {asked.row}" if asked.row is not None else f"the {plural(len(worst), 'query', 'queries')} missed most"
    listed = table("row", "dev set", "loss", "reciprocal rank", "query", left=("dev set", "query"))
    for row in worst:
        text = Text(shortened(row["text"] or "", asked, 120), "cyan").append(f"  [{row['query']}]", "dim")
        figures = figure(row["loss"], 3), figure(row["reciprocal_rank"], 3)
        listed.add_row(str(row["row"]), row["dataset"], *figures, text)
    return View([shown, heading(said), listed], {"datasets": sets, "rows": worst})


def experts(path: Path, asked: Asked) -> View:
    """A line a merged mixture: mean reciprocal rank and loss over the dev sets, the best on top, and its ratio."""
    check_columns(path, EXPERT_SCORES)
    measured = pl.col("loss", "reciprocal_rank").mean()
    of_sets = pl.scan_parquet(verified(path)).group_by("candidate", "dataset").agg(measured, pl.col("ratio").first())
    found = of_sets.group_by("candidate").agg(measured, pl.col("ratio").first())
    rows = found.sort("reciprocal_rank", "candidate", descending=[True, False]).collect().to_dicts()
    shown = table("mixture", "reciprocal rank", "loss", "", "heaviest tasks", left=("heaviest tasks",))
    for row in rows[: asked.rows]:
        drawn = Text(bar(row["reciprocal_rank"], asked.bar(_BAR)), "cyan")
        figures = figure(row["reciprocal_rank"], 3), figure(row["loss"], 3)
        shown.add_row(row["candidate"], *figures, drawn, _heaviest(row["ratio"]))
    return View([shown], {"candidates": rows[: asked.rows]})


def _heaviest(ratio: list[dict[str, Any]]) -> str:
    pairs = sorted(((one["weight"], one["task"]) for one in ratio), reverse=True)[:3]
    return ", ".join(f"{task} {weight:.2f}" for weight, task in pairs if weight)


def _worst(path: Path, asked: Asked) -> list[dict[str, Any]]:
    rows = pl.scan_parquet(verified(path)).with_row_index("row")
    if asked.row is not None:
        first, _ = wanted(path, asked)
        return rows.slice(first, 1).collect().to_dicts()
    return rows.sort("loss", "row", descending=[True, False]).head(asked.rows or USUAL).collect().to_dicts()


def _with_texts(path: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    results = beside.results_of(path)
    texts: dict[str, dict[int, str]] = {}
    for dataset in {row["dataset"] for row in rows}:
        mine = [row["query"] for row in rows if row["dataset"] == dataset]
        texts[dataset] = beside.of_dataset(results, dataset).queried(mine) if results else {}
    return [row | {"text": texts[row["dataset"]].get(row["query"])} for row in rows]
