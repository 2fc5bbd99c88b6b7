"""Whether training paid: the baseline against every retriever that nothing was trained for."""

from collections.abc import Mapping
from dataclasses import dataclass

from tdro.artifacts.layout import IN_DOMAIN
from tdro.config.commands import BASELINE, Content
from tdro.evaluation.statistics import Difference, holm
from tdro.report.scores.comparison import compare, verdict
from tdro.report.scores.queries import ALL_SEEDS, UNTRAINED, Name, Retriever, Scored
from tdro.report.scores.subjects import MEAN, OUT_OF_DOMAIN, Subject, subjects

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
    verdict: str


def collect(settings: Content, retrievers: Mapping[Name, Retriever]) -> list[Gain]:
    """All comparisons; those of a model are corrected for each other (Holm)."""
    anchors = {name: retrievers[name, UNTRAINED].whole for name in settings.untrained}
    found = []
    for model in settings.models:
        runs = retrievers[model, BASELINE].whole
        about = _averages(settings, runs[ALL_SEEDS])
        compared = {name: compare(settings, about, runs, anchor) for name, anchor in anchors.items()}
        pairs = [(place, name) for place in range(len(about)) for name in anchors]
        corrected = holm([compared[name][place].p for place, name in pairs])
        for (place, name), p in zip(pairs, corrected, strict=True):
            subject, difference = about[place], compared[name][place]
            scores = [subject.score(scored[ALL_SEEDS]) for scored in (anchors[name], runs)]
            decided = verdict(settings, difference, p)
            found.append(Gain(model, name, HEADINGS[subject.benchmark], *scores, difference, decided))
    return found


def _averages(settings: Content, scores: Scored) -> list[Subject]:
    """The two averages by their main metric, as far as there are such."""
    found: dict[str, Subject] = {}
    for subject in subjects(settings, scores):
        if subject.benchmark in HEADINGS and subject.dataset == MEAN:
            found.setdefault(subject.benchmark, subject)
    return list(found.values())
