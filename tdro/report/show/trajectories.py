"""How tDRO came to its weights: lines of weights, measurements and losses; and the rows that moved them."""

from pathlib import Path

import polars as pl
from rich.text import Text

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import HEAVIEST, TRAJECTORY
from tdro.formats import plural
from tdro.report.show import beside, peek
from tdro.report.show.drawing import binned, figure, sparkline, table
from tdro.report.show.examples import POSITIVE, QUERY, Example, Line, drawn, passages
from tdro.report.show.view import Asked, View


def trajectory(path: Path, asked: Asked) -> View:
    """A line a task, the heaviest at the end on top: its weight, its measurement and its losses over the steps."""
    course = pl.DataFrame(read_table(path, TRAJECTORY)).sort("step", "task")
    tasks = [_of_task(task, course.filter(pl.col("task") == task)) for task in sorted(course["task"].unique())]
    tasks.sort(key=lambda one: -one["weights"][-1])
    scale = course["weight"].min(), course["weight"].max()
    lines = [_line(one, scale, asked) for one in tasks]
    shown = table(*(lines[0] if lines else ()), drawn=("weight", "measurement"))
    for line in lines:
        shown.add_row(*line.values())
    note = (
        f"{plural(course['step'].n_unique(), 'step')}. The lines of the weights share one scale, those of the "
        "measurements have each its own. Measured: the mean of the measurement after clipping, which lifts the weight "
        "where it is above that of the others; proxy and reference: means of both losses. `tdro why TASK` says more of "
        "one task."
    )
    return View([shown, Text(note, style="dim")], {"tasks": tasks})


def heaviest(path: Path, asked: Asked) -> View:
    """The rows that moved the weights most, with their texts."""
    results, rows = beside.results_of(path), peek.rows(path, HEAVIEST, asked, usual=1000)
    examples: list[Example] = []
    for task in dict.fromkeys(row["task"] for row in rows.values()):
        mine = {number: row for number, row in rows.items() if row["task"] == task}
        examples += moved(beside.of_task(results, task), mine)
    said = peek.said(path, asked, len(rows))
    content = {"rows": [row | one.content() for row, one in zip(rows.values(), examples, strict=True)], "shown": said}
    return View([*drawn(examples, asked), Text(f"\n{said}", style="dim")], content)


def moved(data: beside.Data, rows: dict[int, dict]) -> list[Example]:
    """Rows of one task of ``heaviest_rows.parquet`` with their texts."""
    queries = data.queried(row["query"] for row in rows.values())
    texts = data.passages(row["positive"] for row in rows.values())
    return [
        Example(
            f"{row['task']}: {row['share']:.1%} of what moved its weight, {row['share'] * row['rows']:.1f} times the "
            f"average row; drawn {plural(row['draws'], 'time')}, reference loss {row['reference_loss']:.3g}",
            [Line(QUERY, queries.get(row["query"]), row["query"]), *passages(POSITIVE, [row["positive"]], texts)],
            {},
        )
        for row in rows.values()
    ]


def _line(one: dict, scale: tuple[float, float], asked: Asked) -> dict[str, str | Text]:
    """The cells of a task by their headings; on a narrow screen without the first weight, which all tasks share."""
    grown = one["weights"][-1] >= one["weights"][0]
    weights, measurements = (binned(one[key], asked.points) for key in ("weights", "measurements"))
    cells: dict[str, str | Text] = {
        "task": one["task"],
        "first": figure(one["weights"][0]),
        "last": figure(one["weights"][-1]),
        "weight": Text(sparkline(weights, *scale), "green" if grown else "red"),
        "measured": figure(one["measured"], 3),
        "measurement": Text(sparkline(measurements), "cyan"),
        "proxy": figure(one["proxy_loss"], 3),
        "reference": figure(one["reference_loss"], 3),
    }
    return {heading: cell for heading, cell in cells.items() if not asked.narrow or heading != "first"}


def _of_task(task: str, rows: pl.DataFrame) -> dict:
    means = {key: rows[key].mean() for key in ("proxy_loss", "reference_loss")}
    lines = {"weights": rows["weight"].to_list(), "measurements": rows["gradient"].to_list()}
    return {"task": task, "measured": rows["gradient"].mean(), **means, **lines}
