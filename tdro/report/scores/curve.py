"""The figure of averages with the base: what each share of the trained weights gains in domain and costs outside."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes

from tdro.config.commands import Content
from tdro.report.figures import INK, MARKERS, figure, look, shortened
from tdro.report.scores.rows import Results
from tdro.report.scores.soups import Point
from tdro.report.scores.tables import main_metrics


def curve(settings: Content, results: Results, curves: Mapping[str, Sequence[Point]]) -> Markup:
    """Scores out of domain over scores in domain, a line a soup and model; empty where there is no line."""
    if not curves:
        return Markup()
    with figure("soups", 9.5, 5.2) as (drawing, svg):
        axes = drawing.subplots()
        for number, (name, points) in enumerate(curves.items()):
            _line(axes, points, *look(number, MARKERS), shortened(name, 48))
        metric = main_metrics(settings, results)
        axes.set_xlabel(f"in domain, {metric} (to the right: better)")
        axes.set_ylabel(f"out of domain, {metric} (upwards: better)")
        axes.margins(0.1)
        axes.grid()
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, handlelength=1.6)
    return svg[0]


def _line(axes: Axes, points: Sequence[Point], colour: str, marker: str, name: str) -> None:
    """The way from the base to what was trained; a ring around what was chosen."""
    inside, outside = [point.inside for point in points], [point.outside for point in points]
    axes.plot(inside, outside, f"{marker}-", color=colour, lw=2, ms=6, label=name)
    for number, point in enumerate(points):
        place = (point.inside, point.outside)
        if point.chosen:
            axes.plot(*place, "o", ms=14, mew=1.8, mec=colour, mfc="none")
        beside = (9, -13 if number % 2 else 6)  # neighbours may lie close
        weight = "bold" if point.chosen else "normal"
        axes.annotate(point.label, place, beside, textcoords="offset points", fontsize=9, color=INK, fontweight=weight)
