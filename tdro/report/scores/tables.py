"""Tables of scores on the page: what stands in which cell."""

from dataclasses import dataclass

from tdro.artifacts.layout import IN_DOMAIN
from tdro.artifacts.schemas import at_dimension
from tdro.config.commands import BASELINE, Content
from tdro.formats import METRIC_NAMES, plural, probability, signed, trainings
from tdro.report.scores.comparison import bounds
from tdro.report.scores.previews import marked
from tdro.report.scores.queries import UNTRAINED
from tdro.report.scores.rows import Results, Row
from tdro.report.scores.subjects import OUT_OF_DOMAIN


@dataclass(frozen=True)
class Cell:
    """A score as it is shown; ``verdict`` is gain, loss, unclear, or empty where nothing is decided."""

    score: str
    difference: str = ""
    interval: str = ""
    p: str = ""
    effect: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a table: its heading, its cells, a remark beside the heading, and of a mixture what it costs."""

    heading: str
    cells: list[Cell]
    note: str = ""
    trainings: str = ""


@dataclass(frozen=True)
class Group:
    """Lines that belong together, such as those of one model."""

    heading: str
    lines: list[Line]


@dataclass(frozen=True)
class Column:
    """A benchmark or an average as a column."""

    benchmark: str
    heading: str
    note: str = ""


def columns(settings: Content) -> list[Column]:
    """In-domain average, each out-of-domain benchmark, the suites, and the out-of-domain average of several."""
    shown = []
    if IN_DOMAIN in settings.benchmarks:
        shown.append(Column(IN_DOMAIN, "in domain", f"mean of {plural(len(settings.benchmarks[IN_DOMAIN]), 'task')}"))
    for name in settings.out_of_domain:
        parts = len(settings.benchmarks[name])
        shown.append(Column(name, marked(settings, name), f"mean of {plural(parts, 'part')}" if parts > 1 else ""))
    averages = [(suite, suite, members) for suite, members in settings.suites.items()]
    averages.append((OUT_OF_DOMAIN, "out of domain", settings.out_of_domain))
    shown += [
        Column(key, marked(settings, key, heading), f"mean of {plural(len(members), 'benchmark')}")
        for key, heading, members in averages
        if len(members) > 1
    ]
    return shown


def cell(row: Row) -> Cell:
    """A row of the results as it is shown."""
    if row.difference is None:
        return Cell(f"{row.score:.3f}")
    p, holm = probability(row.difference.p), "" if row.judged.holm is None else probability(row.judged.holm)
    p += f", Holm {holm[2:]}" if holm not in ("", p) else ""
    effect = "" if row.difference.effect is None else f"effect {row.difference.effect:+.2f}"
    return Cell(f"{row.score:.3f}", signed(row.difference.mean), bounds(row.difference), p, effect, row.verdict)


def by_mixture(settings: Content, results: Results, metric: str | None = None) -> list[Group]:
    """One group a model, one line a mixture, one cell a column of :func:`columns`.

    Without a metric each column shows its main one; with one, columns that lack it show a dash. The
    first group holds the retrievers that nothing was trained for, if there are any.
    """

    def line(model: str, mixture: str, heading: str, note: str = "") -> Line:
        cost = settings.trainings.get(mixture)
        cells = [_cell(results, model, mixture, c.benchmark, metric) for c in columns(settings)]
        return Line(heading, cells, note, "" if cost is None else trainings(cost).split()[0])

    untrained = [line(name, UNTRAINED, name) for name in settings.untrained]
    groups = [Group(UNTRAINED, untrained)] if untrained else []
    for model in settings.models:
        lines = [line(model, m, m, "baseline" if m == BASELINE else "") for m in settings.mixtures]
        groups.append(Group(model, lines))
    return groups


def _cell(results: Results, model: str, mixture: str, benchmark: str, metric: str | None) -> Cell:
    if metric and metric not in results.metrics(benchmark):
        return Cell("-")
    return cell(results.find(model, mixture, benchmark, metric=metric))


def main_metrics(settings: Content, results: Results) -> str:
    """The metric that a table of main metrics shows: ``nDCG@10; Acc@100 of mkqa``."""
    of: dict[str, list[str]] = {}
    for column in columns(settings):
        of.setdefault(results.metrics(column.benchmark)[0], []).append(column.heading)
    first, *others = sorted(of, key=list(METRIC_NAMES).index)
    return "; ".join([METRIC_NAMES[first], *(f"{METRIC_NAMES[name]} of {', '.join(of[name])}" for name in others)])


def further_metrics(settings: Content, results: Results) -> list[str]:
    """All other metrics, and the first benchmark's main one where it is not that of all."""
    known = [results.metrics(column.benchmark) for column in columns(settings)]
    everywhere = {metrics[0] for metrics in known if all(m[0] == metrics[0] for m in known)}
    found = dict.fromkeys(metric for metrics in known for metric in metrics)
    return [metric for metric in found if metric not in everywhere]


def by_dataset(settings: Content, results: Results) -> list[Group]:
    """One group a model, one line a task with held-out rows, one cell a mixture: nDCG@10."""
    return [
        Group(
            model,
            [
                Line(
                    task,
                    [cell(results.find(model, m, IN_DOMAIN, dataset=task)) for m in settings.mixtures],
                    plural(results.find(model, BASELINE, IN_DOMAIN, dataset=task).queries, "query", "queries"),
                )
                for task in settings.benchmarks.get(IN_DOMAIN, [])
            ],
        )
        for model in settings.models
    ]


def by_seed(settings: Content, results: Results) -> list[Group]:
    """One group a model and mixture, one line a seed: differences to the baseline of the same seed.

    The last line is that of the main table, of all seeds.
    """
    return [
        Group(
            f"{model}, {mixture}",
            [
                *(_seed_line(settings, results, model, mixture, f"seed {seed}", seed=seed) for seed in settings.seeds),
                _seed_line(settings, results, model, mixture, "all seeds"),
            ],
        )
        for model in settings.models
        for mixture in settings.challengers
    ]


def _seed_line(settings: Content, results: Results, model: str, mixture: str, heading: str, **seed) -> Line:
    found = [results.find(model, mixture, column.benchmark, **seed) for column in columns(settings)]
    return Line(heading, [cell(row) for row in found])


def by_dimension(settings: Content, results: Results) -> list[Group]:
    """One group a retriever that was cut, one line a dimension, one cell a column: its main metric."""
    groups = []
    for name, dimension in results.dimensions.items():
        whole = [results.find(*name, column.benchmark) for column in columns(settings)]
        lines = [Line(str(dimension), [Cell(f"{row.score:.3f}") for row in whole], "whole")]
        for size in settings.dimensions:
            if size < dimension:
                cut = [results.find(*name, row.benchmark, metric=at_dimension(row.metric, size)) for row in whole]
                lines.append(Line(str(size), list(map(_kept, cut, whole))))
        groups.append(Group(", ".join(name), lines))
    return groups


def _kept(cut: Row, whole: Row) -> Cell:
    """A score, and its share of that of the whole embeddings."""
    return Cell(f"{cut.score:.3f}", f"{cut.score / whole.score:.1%}" if whole.score else "")
