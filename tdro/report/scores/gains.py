"""Whether training paid: the baseline against every retriever that nothing was trained for."""

from collections.abc import Mapping
from dataclasses import dataclass

from tdro.artifacts.layout import IN_DOMAIN
from tdro.config.commands import BASELINE, Content
from tdro.report.scores.comparison import Judged, compare, judge
from tdro.report.scores.previews import marked
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
    judged: Judged


def collect(settings: Content, retrievers: Mapping[Name, Retriever]) -> list[Gain]:
    """All comparisons; those of a model are one family."""
    anchors = {name: retrievers[name, UNTRAINED].whole for name in settings.untrained}
    found = []
    for model in settings.models:
        runs = retrievers[model, BASELINE].whole
        about = averages(settings, runs[ALL_SEEDS])
        judged = judge(settings, about, {n: compare(settings, about, runs, anchor) for n, anchor in anchors.items()})
        for place, subject in enumerate(about):
            for name, anchor in anchors.items():
                before, after = (subject.score(scored[ALL_SEEDS]) for scored in (anchor, runs))
                found.append(
                    Gain(
                        model,
                        name,
                        marked(settings, subject.benchmark, HEADINGS[subject.benchmark]),
                        before,
                        after,
                        judged[name][place],
                    )
                )
    return found


def averages(settings: Content, scores: Scored) -> list[Subject]:
    """The two averages by their main metric, as far as there are such."""
    found: dict[str, Subject] = {}
    for subject in subjects(settings, scores):
        if subject.benchmark in HEADINGS and subject.dataset == MEAN:
            found.setdefault(subject.benchmark, subject)
    return list(found.values())
