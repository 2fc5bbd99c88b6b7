"""The figures of the differences to the baseline: on the averages, and on every benchmark.

The zero line lies across the whole figure, and one for phones is as wide as the screen, so that it is always in view.
"""

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tdro.config.commands import Content
from tdro.formats import METRIC_NAMES
from tdro.report.figures import INK, LINE, MARKERS, MUTED, PHONE, look, shortened, twice
from tdro.report.scores.answer import averages
from tdro.report.scores.gains import HEADINGS
from tdro.report.scores.previews import marked
from tdro.report.scores.rows import Results, Row
from tdro.report.scores.tables import columns, main_metrics

#: A line of a figure: its label, whether that stands out, and a row a colour.
Line = tuple[str, bool, Sequence[Row]]


def overview(settings: Content, results: Results, model: str) -> Markup:
    """Differences of the main metric on the averages, one line a mixture, the best on top; empty without averages."""
    about = averages(settings)
    lines: list[Line] = [
        (mixture, False, [results.find(model, mixture, average) for average in about])
        for mixture in settings.challengers
    ]
    if not about:
        return Markup()
    lines.sort(key=lambda line: -line[2][0].difference.mean)
    names = [marked(settings, average, HEADINGS[average]) for average in about]
    metrics = dict.fromkeys(METRIC_NAMES[results.metrics(average)[0]] for average in about)
    return _differences(f"averages-{model}", lines, names, " and ".join(metrics))


def forest(settings: Content, results: Results, model: str) -> Markup:
    """Differences of the main metric to the baseline with their intervals, one line a benchmark."""
    lines: list[Line] = [
        (
            column.heading,
            bool(column.note),
            [results.find(model, mixture, column.benchmark) for mixture in settings.challengers],
        )
        for column in columns(settings)
    ]
    return _differences(f"forest-{model}", lines, settings.challengers, main_metrics(settings, results))


def _differences(name: str, lines: Sequence[Line], names: Sequence[str], metric: str) -> Markup:
    """A figure of lines, of which each has a difference a name."""

    def draw(drawing: Figure, phone: bool) -> None:
        axes = drawing.subplots()
        for place, (_, _, rows) in enumerate(lines):
            for number, row in enumerate(rows):
                _estimate(axes, row, place + _offset(number, len(names), phone), *look(number, MARKERS))
        for number, one in enumerate(names):
            colour, marker = look(number, MARKERS)
            axes.plot([], [], f"{marker}-", color=colour, lw=2, ms=7, label=shortened(one, 24))
        axes.axvline(0, color=MUTED, lw=1.2, zorder=0)
        for place in range(1, len(lines)):
            axes.axhline(place - 0.5, color=LINE, lw=0.5, zorder=0)
        _name_lines(axes, lines, phone)
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.locator_params(axis="x", nbins=5 if phone else 9)
        axes.margins(x=0.04)
        axes.set_xlabel(_about(metric, phone))
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=2 if phone else 6, borderaxespad=0.2, handlelength=1.6
        )

    thick = max(0.42, 0.2 * len(names))
    return twice(name, draw, wide=(9.5, 0.9 + len(lines) * thick), narrow=(PHONE, 1.1 + len(lines) * (thick + 0.3)))


def _about(metric: str, phone: bool) -> str:
    return f"difference in {metric} to uniform" + ("\n" if phone else " ") + "(right of the line: better)"


def _offset(number: int, names: int, phone: bool) -> float:
    """Where a difference lies in its line; on a phone the upper third is the label's."""
    share = (number + 1) / (names + 1)
    return (0.3 + 0.7 * share if phone else share) - 0.5


def _name_lines(axes: Axes, lines: Sequence[Line], phone: bool) -> None:
    """Beside the lines, or on a phone above each."""
    if phone:
        axes.set_yticks([])
        for place, (label, bold, _) in enumerate(lines):
            text = axes.text(0, place - 0.42, shortened(label, 44), transform=axes.get_yaxis_transform(), va="top")
            text.set(color=INK, fontsize=10, fontweight="bold" if bold else "normal")
        return
    axes.set_yticks(range(len(lines)), [shortened(label, 36) for label, _, _ in lines])
    axes.tick_params(axis="y", labelcolor=INK, labelsize=10.5, length=0)
    for (_, bold, _), tick in zip(lines, axes.get_yticklabels(), strict=True):
        tick.set_fontweight("bold" if bold else "normal")


def _estimate(axes: Axes, row: Row, place: float, colour: str, marker: str) -> None:
    """A difference with its interval."""
    filling = colour if row.verdict != "unclear" else "none"
    axes.plot([row.difference.low, row.difference.high], [place, place], color=colour, lw=2.4)
    axes.plot([row.difference.mean], [place], marker, ms=7, mew=1.6, mec=colour, mfc=filling)
