"""Plans: what each task has of the steps, how often its rows are passed, and batches with their texts; references."""

from pathlib import Path

import polars as pl
from rich.console import RenderableType
from rich.text import Text

from tdro.artifacts.files import check_columns, count_rows, read_counts, verified
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import PLAN, REFERENCE
from tdro.formats import count, passes, plural
from tdro.report.show import beside, peek
from tdro.report.show.drawing import bar, binned, figure, sparkline, table
from tdro.report.show.examples import NEGATIVE, POSITIVE, QUERY, Example, Line, drawn, passages
from tdro.report.show.view import Asked, View

_BAR, _POINTS = 16, 24
# A query with its positive as one number, which takes half the memory of a pair.
_PAIR = pl.col("query").cast(pl.Int64) * 2**32 + pl.col("positive")


def plan(path: Path, asked: Asked) -> View:
    """The mixture over the steps; with ``--rows`` or ``--row`` rows with their texts."""
    check_columns(path, PLAN)
    steps, tasks = _steps(path), _tasks(path)
    parts: list[RenderableType] = [Text(_about(path, steps)), _mixture(path, tasks, asked), _NOTE]
    content = {"steps": steps, "rows": count_rows(path), "counts": read_counts(path), "tasks": tasks.to_dicts()}
    if asked.rows or asked.row is not None:
        examples = _examples(path, asked)
        parts += drawn(examples, asked)
        content["examples"] = [example.content() for example in examples]
    return View(parts, content)


_NOTE = Text(
    "passes: how often the training sees each row of the task; again: rows drawn that were drawn before; over the "
    "steps: its share of them from the first to the last. --rows N shows rows with their texts.",
    style="dim",
)


def _steps(path: Path) -> int:
    last = pl.scan_parquet(verified(path)).select(pl.col("step").max()).collect().item()
    return 0 if last is None else last + 1


def _about(path: Path, steps: int) -> str:
    rows = count_rows(path)
    return f"{plural(steps, 'step')} of {rows / steps:.4g} rows" if steps else "The plan is empty."


def _tasks(path: Path) -> pl.DataFrame:
    """Of each task rows drawn, distinct ones, and its share of the rows in parts of the course, the heaviest first."""
    rows = pl.scan_parquet(verified(path)).select("step", "task", "query", "positive")
    drawn_of = rows.group_by("task").agg(pl.len().alias("rows"), _PAIR.n_unique().alias("distinct"))
    width = max(1, -(-_steps(path) // _POINTS))
    parts = rows.group_by("task", (pl.col("step") // width).alias("part")).len().collect()
    whole = parts.group_by("part").agg(pl.col("len").sum().alias("all"))
    shares = parts.join(whole, on="part").with_columns(share=pl.col("len") / pl.col("all"))
    found = drawn_of.sort("rows", "task", descending=[True, False]).collect()
    number = 0 if parts.is_empty() else parts["part"].max() + 1
    course = {task: [0.0] * number for task in found["task"]}
    for task, part, share in shares.select("task", "part", "share").iter_rows():
        course[task][part] = share
    return found.with_columns(course=pl.Series([course[task] for task in found["task"]], dtype=pl.List(pl.Float64)))


def _mixture(path: Path, tasks: pl.DataFrame, asked: Asked):
    results = beside.results_of(path)
    shown = table("task", "rows", "share", "", "passes", "again", "over the steps", drawn=("over the steps",))
    whole, heaviest = tasks["rows"].sum(), tasks["rows"].max() or 1
    for row in tasks.iter_rows(named=True):
        size = _size(results, row["task"])
        again = 1 - row["distinct"] / row["rows"]
        shown.add_row(
            row["task"],
            count(row["rows"]),
            f"{row['rows'] / whole:.1%}",
            Text(bar(row["rows"] / heaviest, asked.bar(_BAR)), "cyan"),
            passes(row["rows"] / size) if size else "-",
            f"{again:.0%}",
            Text(sparkline(binned(row["course"], asked.points), low=0.0), "cyan"),
        )
    return shown


def _size(results: Path | None, task: str) -> int | None:
    """Training rows of a task, where its file is at hand."""
    file = Path(Layout(results or "results").task(task, "train.parquet"))
    return count_rows(file) if results and file.is_file() else None


def _examples(path: Path, asked: Asked) -> list[Example]:
    results, rows = beside.results_of(path), peek.rows(path, PLAN, asked)
    examples = {}
    for task in dict.fromkeys(row["task"] for row in rows.values()):
        mine = {number: row for number, row in rows.items() if row["task"] == task}
        data = beside.of_task(results, task)
        texts = data.passages(p for row in mine.values() for p in (row["positive"], *row["negatives"]))
        queries = data.queried(row["query"] for row in mine.values())
        for number, row in mine.items():
            lines = [Line(QUERY, queries.get(row["query"]), row["query"])]
            lines += passages(POSITIVE, [row["positive"]], texts) + passages(NEGATIVE, row["negatives"], texts)
            examples[number] = Example(f"row {number}: step {row['step']}, slot {row['slot']}, {task}", lines, {})
    return [examples[number] for number in rows]


def reference(path: Path, asked: Asked) -> View:
    """The frozen reference's loss by task: its mean, its spread, and how it is distributed."""
    check_columns(path, REFERENCE)
    loss = pl.col("loss").cast(pl.Float64)
    by_task = pl.scan_parquet(verified(path)).group_by("task")
    found = by_task.agg(
        pl.len().alias("rows"),
        loss.mean().alias("mean"),
        loss.quantile(0.1).alias("low"),
        loss.median().alias("median"),
        loss.quantile(0.9).alias("high"),
        loss.max().alias("largest"),
    )
    tasks = found.sort("mean", "task", descending=[True, False]).collect()
    largest = tasks["mean"].max() or 1.0
    shown = table("task", "rows", "mean loss", "", "10 %", "median", "90 %", "largest")
    for row in tasks.iter_rows(named=True):
        figures = (figure(row[key], 3) for key in ("low", "median", "high", "largest"))
        drawn_bar = Text(bar(row["mean"] / largest, asked.bar(_BAR)), "cyan")
        shown.add_row(row["task"], count(row["rows"]), figure(row["mean"], 3), drawn_bar, *figures)
    return View([shown], {"tasks": tasks.to_dicts()})
