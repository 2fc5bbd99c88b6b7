"""One interval, one p and one verdict of every difference to the baseline.

differences = compare(settings, subjects, runs_of_curr, runs_of_uniform)
judged = judge(settings, subjects, {"curr": differences})
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tdro.config.commands import Compared
from tdro.evaluation.statistics import Difference, Resamples, combine, holm, resample
from tdro.report.scores.queries import ALL_SEEDS, Runs, Scores
from tdro.report.scores.subjects import Subject

#: What stands beside every verdict of one training each.
ONE_SEED = "One seed: this holds for the two models that were trained, and another training may turn it round."


@dataclass(frozen=True)
class Judged:
    """A difference to the baseline, and what it means; one of a single seed decides nothing.

    Attributes:
        difference: With its one interval and p (:func:`tdro.evaluation.statistics.combine`).
        holm: p corrected for all comparisons of the same family (:class:`tdro.report.scores.subjects.Subject`).
        comparisons: How many these are.
        verdict: Gain or loss where ``holm`` is below 1 minus the confidence and the interval leaves out zero, else
            unclear.
    """

    difference: Difference
    holm: float | None = None
    comparisons: int | None = None
    verdict: str = ""


def compare(
    settings: Compared, subjects: Sequence[Subject], here: Runs, base: Runs, seed: int | str = ALL_SEEDS
) -> list[Difference]:
    """The difference of every subject; with several seeds, their spread is part of that of all seeds.

    A query's difference is its mean over the seeds, each against the baseline of the same seed. A retriever that
    nothing was trained for is the baseline of every seed. Datasets of the same queries are drawn alike.
    """
    report = settings.report
    resamples = {
        pair: resample(
            scores.values - base[seed][pair].values,
            samples=report.bootstrap_samples,
            seed=[report.seed, _questions(scores)],
        )
        for pair, scores in here[seed].items()
    }
    several = seed == ALL_SEEDS and len(settings.seeds) > 1
    pairs = [(here[s], base.get(s, base[ALL_SEEDS])) for s in settings.seeds] if several else []
    found = []
    for subject in subjects:
        parts = [(w, _column(resamples[pair], here[seed][pair], subject)) for pair, w in subject.weights.items()]
        seeds = [[subject.score(one) - subject.score(other)] for one, other in pairs]
        found += combine(parts, confidence=report.confidence, seeds=seeds or None)
    return found


def _questions(scores: Scores) -> int:
    """A number of the queries: the same for the same queries, whose differences are not independent.

    The languages of MKQA ask the same questions. Drawn apart, what they have in common would not count. Queries that
    have the same identifiers by chance alone lose nothing: of independent differences, either way is valid.
    """
    return zlib.crc32("\n".join(scores.queries).encode())


def _column(part: Resamples, scores: Scores, subject: Subject) -> Resamples:
    """The resamples of one metric."""
    return part.metric(scores.metrics.index(subject.metric))


def judge(
    settings: Compared, subjects: Sequence[Subject], compared: Mapping[str, Sequence[Difference]]
) -> dict[str, list[Judged]]:
    """The verdicts on all that is compared with the baseline, such as the mixtures of a model: on each subject.

    All mixtures and all columns of the main table are one family, whatever their main metrics are; so are all second
    metrics, and so are single datasets that are no column. What is one comparison under two names counts once.
    """
    all_of_them = [(m, subject, d) for m, found in compared.items() for subject, d in zip(subjects, found, strict=True)]
    families: dict[tuple, dict[tuple, float]] = {}
    for mixture, subject, difference in all_of_them:
        families.setdefault(subject.family, {})[mixture, subject.same] = difference.p
    corrected = {family: dict(zip(ps, holm(list(ps.values())), strict=True)) for family, ps in families.items()}
    judged: dict[str, list[Judged]] = {mixture: [] for mixture in compared}
    for mixture, subject, difference in all_of_them:
        members = corrected[subject.family]
        p = members[mixture, subject.same]
        judged[mixture].append(Judged(difference, p, len(members), _verdict(settings, difference, p)))
    return judged


def _verdict(settings: Compared, difference: Difference, corrected: float) -> str:
    """Gain or loss where the corrected p lies below 1 minus the confidence and the interval leaves out zero."""
    if corrected >= 1 - settings.report.confidence or difference.low <= 0 <= difference.high:
        return "unclear"
    return "gain" if difference.mean > 0 else "loss"


def bounds(difference: Difference) -> str:
    """The interval's two ends: ``[-0.003, +0.027]``."""
    return f"[{difference.low:+.3f}, {difference.high:+.3f}]"
