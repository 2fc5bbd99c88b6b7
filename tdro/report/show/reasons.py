"""`tdro why`: why a task weighs what it does, with figures, lines over the steps, and the texts that it owes it to."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tdro.artifacts.files import read_table, verified
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import HEAVIEST, TRAJECTORY
from tdro.dro.heaviest import HEAVIEST_ROWS
from tdro.errors import UserError
from tdro.formats import count, weight
from tdro.report.show import beside, runs
from tdro.report.show.drawing import bar, binned, figure, heading, sparkline
from tdro.report.show.examples import drawn
from tdro.report.show.trajectories import moved
from tdro.report.show.view import Asked, View
from tdro.report.weights.why import Why, all_reasons, started, why

_BAR, _ROWS = 24, 5


def of_task(results: Path, task: str | None, course: str, model: str | None, seed: int | None, asked: Asked) -> View:
    """Why a task weighs what it does, or a sentence on each.

    Args:
        results: Folder of results.
        task: A task; None: all of them.
        course: Folder of the run of tDRO, such as ``tdro``.
        model: The proxy; None: the first that there is.
        seed: Seed of the run; None: the smallest.
        asked: How many rows to show.

    Raises:
        UserError: when nothing was learnt there, or not of this task.
    """
    asked = asked.checked()
    run, others = runs.chosen(results, f"{course}/trajectory.parquet", model, seed)
    steps, start = _course(run.file), started(Layout(results), run.model, run.seed)
    name = f"{run.model}, seed {run.seed}, {course}"
    if task is None:
        found = all_reasons(steps, start)
        said = [Text(name, "dim"), *(Text(one.sentence) for one in found)]
        return View(said, {"run": name, "tasks": [_content(one) for one in found]})
    one = why(steps, task, start)
    mine = steps.filter(pl.col("task") == task).sort("step")
    elsewhere = {other.seed: _ended(other.file, task) for other in others}
    rows, losses = _heaviest(run, task, asked), _reference(run, course, task)
    examples = moved(beside.of_task(results, task), rows)
    parts: list[RenderableType] = [Text(name, "dim"), Text(one.sentence, "bold")]
    parts.append(_figures(one, mine, losses, elsewhere))
    parts.append(heading("the rows that it owes it to" if rows else "No row moved its weight."))
    content = _content(one) | {"run": name, "other_seeds": elsewhere, "reference": losses}
    content |= {key: mine[key].to_list() for key in ("step", "weight", "measurement", "gradient")}
    content["rows"] = [row | example.content() for row, example in zip(rows.values(), examples, strict=True)]
    return View([*parts, *drawn(examples, asked)], content)


def _figures(one: Why, mine: pl.DataFrame, losses: dict[str, Any], elsewhere: dict[int, float | None]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for _ in range(3):
        grid.add_column(overflow="fold")
    most = max(one.started, one.ended, one.mean, one.ema, one.of_rows) or 1.0

    def add(name: str, value: str = "", behind: RenderableType = "") -> None:
        grid.add_row(Text(name, "dim"), value, behind)

    add("")
    shares = {
        "share at the start": one.started,
        "after the last step (curr)": one.ended,
        "mean over the steps (mean)": one.mean,
        "moving average (ema)": one.ema,
        "its part of all rows": one.of_rows,
    }
    for name, share in shares.items():
        add(name, weight(share), Text(bar(share / most, _BAR), "dim" if share == one.of_rows else "cyan"))
    add("weight over the steps", "", _line(mine, "weight", "green" if one.times >= 1 else "red"))
    add("measurement, clipped, mean", figure(one.measured), _line(mine, "gradient", "cyan"))
    add("  of all tasks by their shares", figure(one.against), f"below its own in {one.above} of {one.steps} steps")
    add("  place among the tasks", f"{one.measured_rank} of {one.tasks}")
    add("loss of the proxy, mean", figure(one.proxy_loss), _line(mine, "proxy_loss", "cyan"))
    add("loss of the reference, mean", figure(one.reference_loss), _line(mine, "reference_loss", "cyan"))
    if losses:
        add("  of single rows", "", f"80 % of them lie between {losses['low']:.3f} and {losses['high']:.3f}")
    add("rows read", count(one.drawn), f"{count(losses['distinct'])} distinct ones" if losses else "")
    if one.counting is not None:
        add("rows that carry it", f"{one.counting:.0%}", "few" if one.few else "of those in a step, on average")
    if elsewhere:
        add("after the last step of", "", ", ".join(f"seed {s}: {figure(v, 3)}" for s, v in elsewhere.items()))
    return grid


def _line(rows: pl.DataFrame, column: str, style: str) -> Text:
    values = rows[column].to_list()
    known = [value for value in values if value is not None]
    scale = f"  {min(known):.3g} to {max(known):.3g}" if known else ""
    return Text.assemble((sparkline(binned(values)), style), (scale, "dim"))


def _course(path: Path) -> pl.DataFrame:
    steps = pl.DataFrame(read_table(path, TRAJECTORY)).sort("step", "task")
    if steps.is_empty():
        raise UserError(f"{path} holds no step; delete it and run tDRO again.")
    return steps


def _ended(path: Path, task: str) -> float | None:
    last = _course(path).filter(pl.col("task") == task).sort("step")["weight"]
    return last[-1] if len(last) else None


def _heaviest(run: runs.Run, task: str, asked: Asked) -> dict[int, dict[str, Any]]:
    file = run.file.with_name(HEAVIEST_ROWS)
    rows = pl.DataFrame(read_table(file, HEAVIEST)) if file.is_file() else pl.DataFrame(schema=["task"])
    mine = rows.filter(pl.col("task") == task) if len(rows) else rows
    return dict(enumerate(mine.head(asked.rows or _ROWS).to_dicts()))


def _reference(run: runs.Run, course: str, task: str) -> dict[str, Any]:
    """How the reference's losses of the task's rows are spread, and how many rows these are; empty without the files.

    All courses read the plan and the losses of ``tdro``.
    """
    file, plan = (run.folder / "tdro" / name for name in ("reference.parquet", "plan.parquet"))
    if not (file.is_file() and plan.is_file()):
        return {}
    losses = (
        pl.scan_parquet(verified(file)).filter(pl.col("task") == task).select("loss").collect()["loss"].cast(pl.Float64)
    )
    rows = (
        pl.scan_parquet(verified(plan)).filter(pl.col("task") == task).select(pl.struct("query", "positive").n_unique())
    )
    if losses.is_empty():
        return {}
    return {"low": losses.quantile(0.1), "high": losses.quantile(0.9), "distinct": rows.collect().item()}


def _content(one: Why) -> dict[str, Any]:
    return asdict(one) | {"conclusion": one.sentence}
