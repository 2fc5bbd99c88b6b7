"""The figure of what mixtures gain out of domain against what they cost."""

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tdro.config.commands import BASELINE, Content
from tdro.report.figures import INK, LINE, MARKERS, MUTED, PHONE, look, twice
from tdro.report.scores.rows import Results
from tdro.report.scores.subjects import OUT_OF_DOMAIN

# Mixtures of the same cost stand beside each other: this share of the cost apart, so that no interval hides another.
_BESIDE = 0.025


def price(settings: Content, results: Results, model: str) -> Markup:
    """Differences out of domain to the baseline with their intervals, over the trainings that a mixture needs."""

    def draw(drawing: Figure, phone: bool) -> None:
        axes = drawing.subplots()
        axes.axhline(0, color=MUTED, lw=1, zorder=0)
        _points(axes, settings, results, model)
        axes.set_xscale("log")
        costs = sorted(set(settings.trainings.values()))
        axes.set_xticks(_apart(costs), [f"{cost:.3g}" for cost in _apart(costs)])
        axes.minorticks_off()
        axes.set_xlabel(
            f"trainings that a mixture needs{'' if phone else ', in a project that has nothing yet'} (logarithmic)"
        )
        axes.set_ylabel("difference to uniform, out of domain")
        axes.tick_params(labelcolor=INK)
        axes.grid(axis="y")
        axes.spines["bottom"].set_color(LINE)
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3 if phone else 6, borderaxespad=0.2, handlelength=1.6
        )

    return twice(f"price-{model}", draw, wide=(9.5, 4.2), narrow=(PHONE, 4.2))


def _points(axes: Axes, settings: Content, results: Results, model: str) -> None:
    taken: dict[float, int] = {settings.trainings[BASELINE]: 1}
    axes.plot([settings.trainings[BASELINE]], [0], "*", ms=11, color=INK, label=BASELINE)
    for number, mixture in enumerate(settings.challengers):
        row, cost = results.find(model, mixture, OUT_OF_DOMAIN), settings.trainings[mixture]
        place = cost * (1 + _BESIDE) ** taken.get(cost, 0)
        taken[cost] = taken.get(cost, 0) + 1
        colour, marker = look(number, MARKERS)
        axes.plot([place, place], [row.difference.low, row.difference.high], color=colour, lw=2)
        filling = colour if row.verdict != "unclear" else "none"
        axes.plot([place], [row.difference.mean], marker, ms=7, mew=1.6, mec=colour, mfc=filling, label=mixture)


def _apart(costs: list[float]) -> list[float]:
    """Those whose labels do not touch: each at least an eighth above the one before."""
    kept: list[float] = []
    for cost in costs:
        if not kept or cost > 1.125 * kept[-1]:
            kept.append(cost)
    return kept
