"""Whether training paid: the baseline against every retriever that nothing was trained for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import StringIO

from rich import box
from rich.table import Table

from tdro.artifacts.layout import IN_DOMAIN, Layout
from tdro.config.commands import BASELINE, Content
from tdro.evaluation.statistics import Difference, holm
from tdro.formats import signed
from tdro.report.comparison import bounds, compare, score, verdict
from tdro.report.queries import Reader, averaged
from tdro.report.reading import VERDICTS, Finding
from tdro.report.scoretables import plain_console
from tdro.report.subjects import MEAN, OUT_OF_DOMAIN, Subject, subjects

#: The averages that are compared, and what they are called.
HEADINGS = {IN_DOMAIN: "in domain", OUT_OF_DOMAIN: "out of domain"}


@dataclass(frozen=True)
class Gain:
    """The baseline of a model against one untrained retriever on one average."""

    model: str
    untrained: str
    heading: str
    before: float
    after: float
    difference: Difference
    verdict: str = ""


def collect(settings: Content, layout: Layout) -> list[Gain]:
    """All comparisons; those of a model are corrected for each other (Holm).

    Raises:
        UserError: see :meth:`tdro.report.queries.Reader.read`.
    """
    reader = Reader(settings.benchmarks)
    anchors = {
        name: reader.read(
            lambda job, name=name: layout.untrained_scores(name, job),
            lambda job, name=name: layout.untrained_query_scores(name, job),
        )
        for name in settings.untrained
    }
    found: list[Gain] = []
    for model in settings.models if anchors else []:
        runs = []
        for seed in settings.seeds:
            key = (model, seed, BASELINE)
            runs.append(
                reader.read(
                    lambda job, key=key: layout.scores(*key, job), lambda job, key=key: layout.query_scores(*key, job)
                )
            )
        found += _of_model(settings, model, runs, anchors)
    return found


def findings(gains: Sequence[Gain]) -> list[Finding]:
    """What they say, a finding a model."""
    found: dict[str, list[str]] = {}
    for gain in gains:
        found.setdefault(gain.model, []).append(
            f"{gain.heading.capitalize()}, against {gain.untrained}: {gain.before:.3f} to {gain.after:.3f}, "
            f"{signed(gain.difference.mean)} {bounds(gain.difference)}, {VERDICTS[gain.verdict]}."
        )
    return [
        Finding(f"Whether training paid: {BASELINE} against what nothing was trained for, {model}", sentences)
        for model, sentences in found.items()
    ]


def terminal(settings: Content, gains: Sequence[Gain]) -> str:
    """A table a model, as plain ASCII: a line an average, a column an untrained retriever."""
    output = StringIO()
    console = plain_console(output)
    for model in dict.fromkeys(gain.model for gain in gains):
        console.print(f"{model}, what training on {BASELINE} has gained over", highlight=False)
        table = Table(box=box.ASCII2)
        table.add_column("benchmark")
        for name in settings.untrained:
            table.add_column(name, no_wrap=True)
        for heading in HEADINGS.values():
            cells = [_cell(g) for g in gains if (g.model, g.heading) == (model, heading)]
            if cells:
                table.add_row(heading, *cells)
        console.print(table)
    return output.getvalue()


def _cell(gain: Gain) -> str:
    mark = "" if gain.verdict == "unclear" else " *"
    return f"{signed(gain.difference.mean)} {bounds(gain.difference)}{mark}"


def _of_model(settings: Content, model: str, runs: list[dict], anchors: dict[str, dict]) -> list[Gain]:
    gains = []
    for subject in _averages(settings, runs[0]):
        for name, scores in anchors.items():
            (difference,) = compare(settings, [subject], [(run, scores) for run in runs])
            before, after = score(subject, scores), score(subject, averaged(runs))
            gains.append(Gain(model, name, HEADINGS[subject.benchmark], before, after, difference))
    corrected = holm([gain.difference.p for gain in gains])
    return [replace(g, verdict=verdict(settings, g.difference, p)) for g, p in zip(gains, corrected, strict=True)]


def _averages(settings: Content, scores: dict) -> list[Subject]:
    """The two averages by their main metric, as far as there are such."""
    found: dict[str, Subject] = {}
    for subject in subjects(settings, scores):
        if subject.benchmark in HEADINGS and subject.dataset == MEAN:
            found.setdefault(subject.benchmark, subject)
    return list(found.values())
