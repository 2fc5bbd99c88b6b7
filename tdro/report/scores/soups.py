"""Averages of models: what they scored on dev queries, which shares were chosen, and the way from base to trained."""

from dataclasses import dataclass
from typing import NamedTuple

from tdro.artifacts.layout import IN_DOMAIN, Layout
from tdro.config.commands import Content, Curve
from tdro.evaluation.soups import SoupScores, read
from tdro.formats import listed
from tdro.report.scores.queries import UNTRAINED
from tdro.report.scores.rows import Results
from tdro.report.scores.subjects import OUT_OF_DOMAIN


class Soup(NamedTuple):
    """A soup of a model."""

    model: str
    mixture: str


#: What each soup and its ingredients scored, by seed.
Measured = dict[Soup, dict[int, SoupScores]]


def collect(settings: Content, layout: Layout) -> Measured:
    """The dev scores of every soup that has some.

    Raises:
        UserError: for a missing or wrong file.
    """
    return {
        Soup(model, mixture): {seed: read(layout.soup_scores(model, seed, mixture)) for seed in settings.seeds}
        for model in settings.models
        for mixture in settings.measured_soups
    }


def warnings(measured: Measured) -> list[str]:
    """A sentence on each soup that is worse than all that it is made of."""
    return [
        f"{mixture} of {model}, seed {seed}: its dev loss {scores.best.loss:.3f} is above that of its worst "
        f"ingredient, {scores.worst} ({scores.ingredients[scores.worst].loss:.3f}). The models lie in different basins "
        "of the loss, and their average between them: do not use it."
        for (model, mixture), by_seed in measured.items()
        for seed, scores in by_seed.items()
        if scores.between_basins
    ]


def choices(measured: Measured) -> list[str]:
    """A sentence on each soup whose share dev queries chose."""
    found = []
    for (model, mixture), by_seed in measured.items():
        if any(len(scores.soups) > 1 for scores in by_seed.values()):
            said = [
                f"{scores.best.share:g} ({_rank(scores)}{f'; seed {seed}' if len(by_seed) > 1 else ''})"
                for seed, scores in by_seed.items()
            ]
            found.append(f"{mixture} of {model}: the share of trained weights chosen on dev queries is {listed(said)}.")
    return found


def _rank(scores: SoupScores) -> str:
    others = [f"{name} {one.reciprocal_rank:.3f}" for name, one in scores.ingredients.items()]
    return f"mean reciprocal rank {scores.best.reciprocal_rank:.3f}; {', '.join(others)}"


@dataclass(frozen=True)
class Line:
    """A model or an average, as the table of dev scores shows it."""

    name: str
    loss: str
    rank: str


def tables(settings: Content, measured: Measured) -> list[tuple[str, list[Line]]]:
    """The lines of each soup under its heading."""
    found = []
    for (model, mixture), by_seed in measured.items():
        for seed, scores in by_seed.items():
            heading = ", ".join([mixture, model, *([f"seed {seed}"] if len(settings.seeds) > 1 else [])])
            named = [*scores.ingredients.items(), *((_name(scores, soup.share), soup) for soup in scores.soups)]
            found.append((heading, [Line(n, f"{one.loss:.3f}", f"{one.reciprocal_rank:.3f}") for n, one in named]))
    return found


def _name(scores: SoupScores, share: float | None) -> str:
    if share is None:
        return "soup"
    return f"soup, share {share:g}" + (", chosen" if len(scores.soups) > 1 and share == scores.chosen else "")


@dataclass(frozen=True)
class Point:
    """A retriever between the base and the trained models.

    Attributes:
        share: Part of trained weights; of a choice that differs between seeds the mean.
        label: What it is called in the figure.
        inside: Score in domain.
        outside: Score out of domain.
        chosen: Whether dev queries chose it.
    """

    share: float
    label: str
    inside: float
    outside: float
    chosen: bool = False


def curves(settings: Content, results: Results, measured: Measured) -> dict[str, list[Point]]:
    """The points of each soup and model from the base on, by the line's name; none without both kinds of scores."""
    if IN_DOMAIN not in settings.benchmarks or not settings.out_of_domain:
        return {}
    return {
        f"soup-{name}, {model}": _points(settings, results, measured, curve, model)
        for name, curve in settings.curves.items()
        for model in settings.models
    }


def _points(settings: Content, results: Results, measured: Measured, curve: Curve, model: str) -> list[Point]:
    def point(share: float, label: str, mixture: str, of: str = model, *, chosen: bool = False) -> Point:
        inside, outside = (results.find(of, mixture, average).score for average in (IN_DOMAIN, OUT_OF_DOMAIN))
        return Point(share, label, inside, outside, chosen)

    base = f"base-{model}"
    found = [point(0, "base", UNTRAINED, base)] if base in settings.untrained else []
    found += [point(share, f"{share:g}", mixture) for mixture, share in curve.shares.items() if share is not None]
    found += [point(1, curve.whole, curve.whole)] if curve.whole else []
    for mixture, share in curve.shares.items():
        if share is None:
            shares = [scores.best.share for scores in measured[Soup(model, mixture)].values()]
            label = " or ".join(f"{one:g}" for one in sorted(set(shares)))
            chosen = point(sum(shares) / len(shares), f"{label}, chosen", mixture, chosen=True)
            # The same model twice is one point.
            found = [one for one in found if set(shares) != {one.share}] + [chosen]
    return sorted(found, key=lambda one: one.share)
