"""The figure of the differences to the baseline."""

from markupsafe import Markup
from matplotlib.axes import Axes

from tdro.config.commands import Content
from tdro.report.figures import INK, LINE, MARKERS, MUTED, figure, look, shortened
from tdro.report.scores.rows import Results, Row
from tdro.report.scores.tables import columns, main_metrics


def forest(settings: Content, results: Results, model: str) -> Markup:
    """Differences of the main metric to the baseline with their intervals, one line a benchmark."""
    shown = columns(settings)
    step = 1 / (len(settings.challengers) + 1)
    with figure(f"forest-{model}", 9.5, 0.9 + len(shown) * max(0.42, 0.2 * len(settings.challengers))) as (
        drawing,
        svg,
    ):
        axes = drawing.subplots()
        for number, mixture in enumerate(settings.challengers):
            rows = [results.find(model, mixture, column.benchmark) for column in shown]
            colour, marker = look(number, MARKERS)
            for line, row in enumerate(rows):
                _estimate(axes, row, line + (number + 1) * step - 0.5, colour, marker)
            axes.plot([], [], f"{marker}-", color=colour, lw=2, ms=7, label=mixture)
        axes.axvline(0, color=MUTED, lw=1, zorder=0)
        for line in range(1, len(shown)):
            axes.axhline(line - 0.5, color=LINE, lw=0.5, zorder=0)
        axes.set_yticks(range(len(shown)), [shortened(column.heading, 36) for column in shown])
        axes.tick_params(axis="y", labelcolor=INK, labelsize=10.5, length=0)
        for column, label in zip(shown, axes.get_yticklabels(), strict=True):
            label.set_fontweight("bold" if column.note else "normal")
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel(f"difference in {main_metrics(settings, results)} to uniform (right of the line: better)")
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=6, borderaxespad=0.2, handlelength=1.6)
    return svg[0]


def _estimate(axes: Axes, row: Row, place: float, colour: str, marker: str) -> None:
    """A difference with its interval."""
    filling = colour if row.verdict != "unclear" else "none"
    axes.plot([row.difference.low, row.difference.high], [place, place], color=colour, lw=2.4)
    axes.plot([row.difference.mean], [place], marker, ms=7, mew=1.6, mec=colour, mfc=filling)
