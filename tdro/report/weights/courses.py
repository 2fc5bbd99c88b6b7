"""How tDRO came to the weights: its trajectories, and the figures of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup
from matplotlib.axes import Axes

from tdro.artifacts.files import read_table
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import TRAJECTORY
from tdro.config.commands import Content
from tdro.errors import UserError
from tdro.formats import loss, weight
from tdro.report.figures import HUES, INK, MUTED, STYLES, figure, look, shortened

# Points of a panel's line at most.
_POINTS = 50
# A line that goes further than from one to this is drawn on a logarithmic scale.
_DECADES = 100


@dataclass(frozen=True)
class Course:
    """The figures of one seed's tDRO, as SVG; a point of the last two is the mean of ``steps_a_point`` steps.

    ``rows`` are the numbers behind them, a line a task under ``headings``; ``file`` has all of them.
    """

    seed: int
    file: str
    headings: list[str]
    rows: list[tuple[str, list[str]]]
    steps_a_point: int
    weights: Markup
    losses: Markup
    measurements: Markup


def read_courses(settings: Content, layout: Layout, course: str = "tdro") -> dict[int, pl.DataFrame]:
    """A course of tDRO by seed, schema ``TRAJECTORY``; empty when there is none of that name.

    Raises:
        UserError: when a trajectory is missing or holds no step.
    """
    if course not in settings.courses:
        return {}
    runs = {}
    for seed in settings.seeds:
        path = Path(layout.run(settings.proxy, seed, f"{course}/trajectory.parquet"))
        runs[seed] = pl.DataFrame(read_table(path, TRAJECTORY)).sort("step", "task")
        if runs[seed].is_empty():
            raise UserError(f"{path} holds no step; delete it and run tDRO again.")
    return runs


def last_weights(course: pl.DataFrame) -> dict[str, float]:
    """Weight of each task at the last step of a trajectory."""
    last = course.filter(pl.col("step") == pl.col("step").max())
    return dict(zip(last["task"], last["weight"], strict=True))


def drawn(settings: Content, layout: Layout, courses: Mapping[int, pl.DataFrame]) -> list[Course]:
    """The figures of every seed, and the numbers behind them."""
    return [
        Course(
            seed,
            layout.handed_on.run(settings.proxy, seed, "tdro/trajectory.parquet"),
            *_numbers(course),
            _bin_width(course),
            _weights(course, f"seed{seed}"),
            _losses(course, f"seed{seed}"),
            _measurements(course, f"seed{seed}"),
        )
        for seed, course in courses.items()
    ]


def _numbers(trajectory: pl.DataFrame) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Headings, and of each task the last weight and the means over the first and the last tenth of the steps."""
    columns = {"proxy_loss": "proxy loss", "reference_loss": "reference loss", "measurement": "measurement"}
    first, last = trajectory["step"].min(), trajectory["step"].max()
    tenth = max(1, (last - first + 1) // 10)
    ends = [pl.col("step") < first + tenth, pl.col("step") > last - tenth]
    weights = last_weights(trajectory)
    means = [
        {row["task"]: row for row in trajectory.filter(end).group_by("task").agg(pl.col(*columns).mean()).to_dicts()}
        for end in ends
    ]
    headings = [f"{said}, {end}" for said in columns.values() for end in ("first", "last")]
    rows = [
        (task, [weight(weights[task]), *(loss(end[task][column]) for column in columns for end in means)])
        for task in _heaviest_first(trajectory)
    ]
    return ["last weight", *headings], rows


def _weights(trajectory: pl.DataFrame, name: str) -> Markup:
    """Weights of all tasks over the steps, labelled at their end, heaviest on top."""
    tasks = _heaviest_first(trajectory)
    with figure(f"weights-{name}", 10, max(3.6, 0.8 + 0.19 * len(tasks))) as (drawing, svg):
        axes = drawing.subplots()
        ends = []
        for number, task in enumerate(tasks):
            steps, values = _thinned(trajectory.filter(pl.col("task") == task), "weight")
            colour, style = look(number, STYLES)
            axes.plot(steps, values, lw=1.8, color=colour, ls=style)
            ends.append((values[-1], task, colour))
        first, last = trajectory["step"].min(), trajectory["step"].max()
        axes.axhline(1 / len(tasks), color=MUTED, lw=0.8, ls=(0, (2, 3)), zorder=0)
        axes.set_xlim(first, max(last, first + 1))
        _scale(axes, trajectory["weight"], 1 / len(tasks))
        axes.set_xlabel("step")
        axes.set_ylabel("weight" + (" (logarithmic)" if axes.get_yscale() == "log" else ""))
        axes.grid(axis="y")
        _label_ends(axes, ends, last)
    return svg[0]


def _scale(axes: Axes, weights: pl.Series, even: float) -> None:
    """From zero, or logarithmic where the weights span decades."""
    least, most = weights.filter(weights > 0).min(), max(1.2 * even, weights.max())
    if most > _DECADES * least:
        axes.set_yscale("log")
        axes.set_ylim(max(least, most / 1e4) / 1.2, 1.2 * most)
    else:
        axes.set_ylim(0, 1.04 * most)


def _label_ends(axes: Axes, ends: list[tuple[float, str, str]], last: float) -> None:
    """Names beside the lines' ends, pushed apart where they would overlap, with leaders to the ends."""
    there, back = (np.log, np.exp) if axes.get_yscale() == "log" else (np.asarray, np.asarray)
    low, high = there(axes.get_ylim())
    gap = min(
        (high - low) / max(1, len(ends) - 1), (high - low) * 0.185 / (axes.get_figure(root=True).get_figheight() - 0.8)
    )
    shown = [max(value, axes.get_ylim()[0]) for value, _, _ in ends]
    places = back(_pushed_apart(list(there(shown)), gap, low, high))
    for (value, task, colour), place in zip(ends, places, strict=True):
        axes.annotate(
            f"{shortened(task, 28)}  {weight(value)}",
            xy=(last, max(value, axes.get_ylim()[0])),
            xytext=(1.03, place),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            color=INK,  # names in the lines' colours could not be read in light and in dark
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 1.2, "shrinkA": 0, "shrinkB": 1, "relpos": (0, 0.5)},
        )


def _pushed_apart(values: list[float], gap: float, low: float, high: float) -> list[float]:
    """Places near falling ``values``, at least ``gap`` apart and within ``low`` to ``high`` if they fit."""
    places: list[float] = []
    for value in values:
        places.append(min(value, places[-1] - gap) if places else min(value, high))
    floor = low
    for number in reversed(range(len(places))):
        places[number] = max(places[number], floor)
        floor = places[number] + gap
    return places


def _losses(trajectory: pl.DataFrame, name: str) -> Markup:
    """Loss of proxy and reference over the steps, one panel a task."""
    with _panels(f"losses-{name}", trajectory, share=False) as (panels, svg):
        for axes, rows in panels:
            for column, colour, label in (("reference_loss", MUTED, "reference"), ("proxy_loss", HUES[0], "proxy")):
                axes.plot(*_binned(rows, column), color=colour, lw=1.5, label=label)
    return svg[0]


def _measurements(trajectory: pl.DataFrame, name: str) -> Markup:
    """Measurement over the steps, one panel a task, against the mean over all tasks.

    The mean is weighted by the tasks' weights: after the softmax, a task gains weight exactly if its
    (clipped) measurement exceeds the others' weighted by what they have, to first order in the step size.
    """
    share = pl.col("weight") / pl.col("weight").sum()
    measured = trajectory.drop_nulls("measurement")
    everything = measured.group_by("step", maintain_order=True).agg((pl.col("measurement") * share).sum()).sort("step")
    with _panels(f"measurements-{name}", trajectory, share=True) as (panels, svg):
        for axes, rows in panels:
            axes.plot(*_binned(everything, "measurement"), color=MUTED, lw=1.2, label="weighted mean of all tasks")
            axes.plot(*_binned(rows, "measurement"), color=HUES[1], lw=1.5, label="task")
    return svg[0]


@contextmanager
def _panels(name: str, trajectory: pl.DataFrame, *, share: bool) -> Iterator[tuple]:
    """Yield (axes, rows of the task) for each task, heaviest first, and the list that receives the SVG."""
    tasks = _heaviest_first(trajectory)
    across = min(len(tasks), 4 if len(tasks) <= 16 else 5)
    down = -(-len(tasks) // across)
    height = 0.8 + 1.45 * down
    with figure(name, 10, height) as (drawing, svg):
        grid = drawing.subplots(down, across, sharex=True, sharey=share, squeeze=False).ravel()
        pairs = [(axes, trajectory.filter(pl.col("task") == task)) for axes, task in zip(grid, tasks, strict=False)]
        yield pairs, svg
        for axes in grid[len(tasks) :]:
            axes.set_visible(False)
        for (axes, _), task in zip(pairs, tasks, strict=True):
            axes.set_title(shortened(task, 120 // across), loc="left", fontsize=9.5, pad=4)
            if not share:
                _scale_panel(axes)
            if axes.get_yscale() == "linear":
                axes.locator_params(axis="y", nbins=3)
            axes.locator_params(axis="x", nbins=4)
            axes.tick_params(labelsize=8)
            axes.grid(axis="y")
        handles = pairs[0][0].get_legend_handles_labels()
        drawing.legend(*handles, loc="upper left", ncols=2, fontsize=9.5, borderaxespad=0)
        layout: Any = drawing.get_layout_engine()
        layout.set(rect=(0, 0, 1, 1 - 0.35 / height))
        drawing.supxlabel("step", fontsize=9.5, color=MUTED)


def _scale_panel(axes: Axes) -> None:
    """Logarithmic where the values of a panel span decades."""
    values = np.concatenate([line.get_ydata() for line in axes.get_lines()])
    positive = values[values > 0]
    if len(positive) == len(values) and values.max() > _DECADES * values.min():
        axes.set_yscale("log")


def _heaviest_first(trajectory: pl.DataFrame) -> list[str]:
    weights = last_weights(trajectory)
    return sorted(weights, key=lambda task: (-weights[task], task))


def _thinned(rows: pl.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """At most some 200 points of a line, the last one included."""
    kept = rows.reverse().gather_every(-(-len(rows) // 200)).reverse()
    return kept["step"].to_numpy(), kept[column].to_numpy()


def _bin_width(trajectory: pl.DataFrame) -> int:
    """Steps that one point of a panel's line averages over."""
    return -(-trajectory["step"].n_unique() // _POINTS)


def _binned(rows: pl.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Means over `_bin_width` steps; steps without a value (no row of the task) are left out."""
    width = _bin_width(rows)
    points = (
        rows.drop_nulls(column)
        .with_columns(bin=(pl.col("step") - rows["step"].min()) // width)
        .group_by("bin", maintain_order=True)
        .agg(pl.col("step").mean(), pl.col(column).mean())
    )
    return points["step"].to_numpy(), points[column].to_numpy()
