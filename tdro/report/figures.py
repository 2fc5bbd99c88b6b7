"""Figures as inline SVG that follow the page's colours, in light and in dark.

The same data gives the same bytes: identifiers are salted with the figure's name, and no date is
stored. Text stays text, so that it can be searched, copied and read at any size.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tdro.config.commands import Content
from tdro.report.scores import Results, Row
from tdro.report.scoretables import columns, main_metrics

# Colours that stand for the page's own; they occur nowhere else.
_INK, _MUTED, _LINE = "#010203", "#707172", "#d0d1d2"
_PAGE_COLOURS = {_INK: "currentColor", _MUTED: "var(--muted)", _LINE: "var(--line)"}
# Hues of middle lightness, legible on white and on near-black; line styles and markers tell repeats apart.
_HUES = ("#3a82c8", "#d5742a", "#2e9a6c", "#c9507f", "#8a6cd4", "#a98a1c", "#1c9ab4", "#b3603c")
_STYLES = ("-", "--", ":", "-.")
_MARKERS = ("o", "s", "^", "D")
_POINTS = 50

_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _MUTED,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _MUTED,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "font.size": 10,
    "font.family": "sans-serif",
    "axes.labelsize": 9.5,
    "axes.titlesize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
}


def forest(settings: Content, results: Results, model: str) -> str:
    """Differences of the main metric to the baseline with their intervals, one line a benchmark."""
    shown = columns(settings)
    step = 1 / (len(settings.challengers) + 1)
    with _figure(f"forest-{model}", 9.5, 0.9 + len(shown) * max(0.42, 0.2 * len(settings.challengers))) as (
        figure,
        svg,
    ):
        axes = figure.subplots()
        for number, mixture in enumerate(settings.challengers):
            rows = [results.find(model, mixture, column.benchmark) for column in shown]
            colour, marker = _look(number, _MARKERS)
            for line, row in enumerate(rows):
                _estimate(axes, row, line + (number + 1) * step - 0.5, colour, marker)
            axes.plot([], [], f"{marker}-", color=colour, lw=2, ms=7, label=mixture)
        axes.axvline(0, color=_MUTED, lw=1, zorder=0)
        for line in range(1, len(shown)):
            axes.axhline(line - 0.5, color=_LINE, lw=0.5, zorder=0)
        axes.set_yticks(range(len(shown)), [_shortened(column.heading, 36) for column in shown])
        axes.tick_params(axis="y", labelcolor=_INK, labelsize=10.5, length=0)
        for column, label in zip(shown, axes.get_yticklabels(), strict=True):
            label.set_fontweight("bold" if column.note else "normal")
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel(f"difference in {main_metrics(settings, results)} to uniform (right of the line: better)")
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=6, borderaxespad=0.2, handlelength=1.6)
    return svg[0]


def _look(number: int, repeats: tuple[str, ...]) -> tuple[str, str]:
    """A hue, and what tells its repeats apart."""
    return _HUES[number % len(_HUES)], repeats[number // len(_HUES) % len(repeats)]


def _estimate(axes: Axes, row: Row, place: float, colour: str, marker: str) -> None:
    """A difference with its interval."""
    filling = colour if row.verdict != "unclear" else "none"
    axes.plot([row.difference.low, row.difference.high], [place, place], color=colour, lw=2.4)
    axes.plot([row.difference.mean], [place], marker, ms=7, mew=1.6, mec=colour, mfc=filling)


def weight_course(trajectory: pl.DataFrame, name: str) -> str:
    """Weights of all tasks over the steps, labelled at their end, heaviest on top."""
    tasks = _heaviest_first(trajectory)
    with _figure(f"weights-{name}", 10, max(3.6, 0.8 + 0.19 * len(tasks))) as (figure, svg):
        axes = figure.subplots()
        ends = []
        for number, task in enumerate(tasks):
            steps, values = _thinned(trajectory.filter(pl.col("task") == task), "weight")
            colour, style = _look(number, _STYLES)
            axes.plot(steps, values, lw=1.8, color=colour, ls=style)
            ends.append((values[-1], task, colour))
        first, last = trajectory["step"].min(), trajectory["step"].max()
        axes.axhline(1 / len(tasks), color=_MUTED, lw=0.8, ls=(0, (2, 3)), zorder=0)
        axes.set_xlim(first, max(last, first + 1))
        axes.set_ylim(0, 1.04 * max(1.2 / len(tasks), trajectory["weight"].max()))
        axes.set_xlabel("step")
        axes.set_ylabel("weight")
        axes.grid(axis="y")
        _label_ends(axes, ends, last)
    return svg[0]


def _label_ends(axes: Axes, ends: list[tuple[float, str, str]], last: float) -> None:
    """Names beside the lines' ends, pushed apart where they would overlap, with leaders to the ends."""
    low, high = axes.get_ylim()
    gap = min((high - low) / max(1, len(ends) - 1), (high - low) * 0.185 / (axes.figure.get_figheight() - 0.8))
    places = _pushed_apart([value for value, _, _ in ends], gap, low, high)
    for (value, task, colour), place in zip(ends, places, strict=True):
        axes.annotate(
            f"{_shortened(task, 28)}  {value:.3f}",
            xy=(last, value),
            xytext=(1.03, place),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            color=colour,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "shrinkA": 0, "shrinkB": 1, "relpos": (0, 0.5)},
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


def loss_panels(trajectory: pl.DataFrame, name: str) -> str:
    """Loss of proxy and reference over the steps, one panel a task."""
    with _panels(f"losses-{name}", trajectory, share=False) as (panels, svg):
        for axes, rows in panels:
            for column, colour, label in (("reference_loss", _MUTED, "reference"), ("proxy_loss", _HUES[0], "proxy")):
                axes.plot(*_binned(rows, column), color=colour, lw=1.5, label=label)
    return svg[0]


def measurement_panels(trajectory: pl.DataFrame, name: str) -> str:
    """Measurement over the steps, one panel a task, against the mean over all tasks.

    The mean is weighted by the tasks' weights: after the softmax, a task gains weight exactly if its
    (clipped) measurement exceeds the others' weighted by what they have, to first order in the step size.
    """
    share = pl.col("weight") / pl.col("weight").sum()
    measured = trajectory.drop_nulls("measurement")
    everything = measured.group_by("step", maintain_order=True).agg((pl.col("measurement") * share).sum()).sort("step")
    with _panels(f"measurements-{name}", trajectory, share=True) as (panels, svg):
        for axes, rows in panels:
            axes.plot(*_binned(everything, "measurement"), color=_MUTED, lw=1.2, label="weighted mean of all tasks")
            axes.plot(*_binned(rows, "measurement"), color=_HUES[1], lw=1.5, label="task")
    return svg[0]


@contextmanager
def _panels(name: str, trajectory: pl.DataFrame, *, share: bool) -> Iterator[tuple]:
    """Yield (axes, rows of the task) for each task, heaviest first, and the list that receives the SVG."""
    tasks = _heaviest_first(trajectory)
    across = 4 if len(tasks) <= 16 else 5
    down = -(-len(tasks) // across)
    height = 0.8 + 1.45 * down
    with _figure(name, 10, height) as (figure, svg):
        grid = figure.subplots(down, across, sharex=True, sharey=share, squeeze=False).ravel()
        pairs = [(axes, trajectory.filter(pl.col("task") == task)) for axes, task in zip(grid, tasks, strict=False)]
        yield pairs, svg
        for axes in grid[len(tasks) :]:
            axes.set_visible(False)
        for (axes, _), task in zip(pairs, tasks, strict=True):
            axes.set_title(_shortened(task, 120 // across), loc="left", fontsize=9.5, pad=4)
            axes.locator_params(axis="y", nbins=3)
            axes.locator_params(axis="x", nbins=4)
            axes.tick_params(labelsize=8)
            axes.grid(axis="y")
        handles = pairs[0][0].get_legend_handles_labels()
        figure.legend(*handles, loc="upper left", ncols=2, fontsize=9.5, borderaxespad=0)
        figure.get_layout_engine().set(rect=(0, 0, 1, 1 - 0.35 / height))
        figure.supxlabel("step", fontsize=9.5, color=_MUTED)


@contextmanager
def _figure(name: str, width: float, height: float) -> Iterator[tuple[Figure, list[str]]]:
    """Yield a figure, and a list that receives its SVG once it is drawn."""
    svg: list[str] = []
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": f"tdro-{name}"}):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, svg
        svg.append(_svg(figure))


def _svg(figure: Figure) -> str:
    """The figure as an SVG element without prolog, size or unused identifiers."""
    buffer = StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight", pad_inches=0.04)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1), count=1
    )
    referenced = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in referenced else "", text)
    for colour, own in _PAGE_COLOURS.items():
        text = text.replace(colour, own)
    return text.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "").replace("xlink:href", "href")


def _heaviest_first(trajectory: pl.DataFrame) -> list[str]:
    last = trajectory.filter(pl.col("step") == pl.col("step").max())
    return last.sort("weight", "task", descending=[True, False])["task"].to_list()


def _thinned(rows: pl.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """At most some 200 points of a line, the last one included."""
    kept = rows.reverse().gather_every(-(-len(rows) // 200)).reverse()
    return kept["step"].to_numpy(), kept[column].to_numpy()


def bin_width(trajectory: pl.DataFrame) -> int:
    """Steps that one point of a panel's line averages over."""
    return -(-trajectory["step"].n_unique() // _POINTS)


def _binned(rows: pl.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Means over :func:`bin_width` steps; steps without a value (no row of the task) are left out."""
    width = bin_width(rows)
    points = (
        rows.drop_nulls(column)
        .with_columns(bin=(pl.col("step") - rows["step"].min()) // width)
        .group_by("bin", maintain_order=True)
        .agg(pl.col("step").mean(), pl.col(column).mean())
    )
    return points["step"].to_numpy(), points[column].to_numpy()


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."
