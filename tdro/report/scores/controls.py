"""Whether a mixture beats its controls: the same weights given to other tasks, as many tasks chosen by chance, or
training as much longer as learning the weights took.

A gain over `uniform` alone does not show that the weights were well learnt. Where weights of the same unevenness gain
as much on whichever tasks, which task has which weight is worth nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tdro.config.commands import BASELINE, Content
from tdro.config.mixturenames import Mixture, parse, written
from tdro.evaluation.statistics import Difference
from tdro.formats import plural
from tdro.report.scores.comparison import Judged, compare, judge
from tdro.report.scores.gains import HEADINGS, averages
from tdro.report.scores.previews import marked
from tdro.report.scores.queries import ALL_SEEDS, Name, Retriever, Runs, Scored, over_seeds
from tdro.report.scores.rows import Results
from tdro.report.scores.subjects import Subject


@dataclass(frozen=True)
class Control:
    """A mixture and those that it is compared with, which are pooled.

    Attributes:
        mixture: Its name.
        pooled: Names of its controls.
    """

    mixture: str
    pooled: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Of the controls: ``shuffled``, ``random`` or ``longer``."""
        return parse(self.pooled[0]).kind


@dataclass(frozen=True)
class Controlled:
    """A mixture against its controls on one average.

    Attributes:
        model: Of the retrievers.
        control: What is compared.
        heading: Of the average.
        gain: The mixture against the baseline.
        pooled: The controls against the baseline.
        judged: The mixture against the controls.
    """

    model: str
    control: Control
    heading: str
    gain: Difference
    pooled: Difference
    judged: Judged


def controls(mixtures: Sequence[str]) -> list[Control]:
    """What is compared: shuffled weights first, then tasks by chance, then more steps."""
    parsed = {name: parse(name) for name in mixtures}
    by_mixture: dict[tuple[str, Mixture], list[str]] = {}
    for name, mixture in parsed.items():
        if mixture.controlled in parsed.values():
            by_mixture.setdefault((mixture.kind, mixture.controlled), []).append(name)
    order = sorted(by_mixture, key=lambda key: key[0] != "shuffled")
    found = [Control(written(key[1]), tuple(by_mixture[key])) for key in order]
    if "longer" in mixtures:
        found += [Control(name, ("longer",)) for name, mixture in parsed.items() if _costs(mixture)]
    return found


def _costs(mixture: Mixture) -> bool:
    """Whether it has to be worth what learning weights costs; controls need not."""
    return mixture.learnt and not mixture.drawn and mixture.kind != "bottom"


def collect(settings: Content, retrievers: Mapping[Name, Retriever], results: Results) -> list[Controlled]:
    """All comparisons; those of a model are one family."""
    return [found for model in settings.models for found in _of_model(settings, retrievers, results, model)]


def _of_model(
    settings: Content, retrievers: Mapping[Name, Retriever], results: Results, model: str
) -> Iterator[Controlled]:
    whole = {mixture: retrievers[model, mixture].whole for mixture in settings.mixtures}
    asked = {f"{control.mixture} {control.kind}": control for control in controls(settings.mixtures)}
    base, about = whole[BASELINE], averages(settings, whole[BASELINE][ALL_SEEDS])
    pooled = {name: pool([whole[one] for one in control.pooled]) for name, control in asked.items()}
    against = {name: compare(settings, about, whole[c.mixture], pooled[name]) for name, c in asked.items()}
    judged = judge(settings, about, against)
    for name, control in asked.items():
        gains = _gains(results, model, control.mixture, about)
        if len(control.pooled) == 1:
            others = _gains(results, model, control.pooled[0], about)
        else:
            others = compare(settings, about, pooled[name], base)
        for subject, gain, other, verdict in zip(about, gains, others, judged[name], strict=True):
            yield Controlled(
                model, control, marked(settings, subject.benchmark, HEADINGS[subject.benchmark]), gain, other, verdict
            )


def _gains(results: Results, model: str, mixture: str, about: Sequence[Subject]) -> list[Difference]:
    """Of a mixture over the baseline, as the report has them."""
    return [results.find(model, mixture, one.benchmark, metric=one.metric).difference for one in about]


def pool(several: Sequence[Runs]) -> Runs:
    """The mean of several mixtures' scores, by query and seed: a query scores what it scores on average."""
    seeds = [seed for seed in several[0] if seed != ALL_SEEDS] or [ALL_SEEDS]
    return over_seeds({seed: _mean([runs[seed] for runs in several]) for seed in seeds})


def _mean(several: Sequence[Scored]) -> Scored:
    return {
        pair: replace(scores, values=np.mean([scored[pair].values for scored in several], axis=0), first=None)
        for pair, scores in several[0].items()
    }


def named(control: Control) -> str:
    """The controls in words."""
    number = len(control.pooled)
    return {
        "shuffled": "the same weights given to other tasks",
        "random": "as many tasks chosen by chance",
        "longer": f"{BASELINE} trained longer by what learning the weights cost",
    }[control.kind] + (f" ({plural(number, 'draw')} pooled)" if number > 1 else "")
