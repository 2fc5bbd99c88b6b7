"""One interval, one p and one verdict of every difference to the baseline.

differences = compare(settings, subjects, [(curr_seed1, uniform_seed1), (curr_seed2, uniform_seed2)])
corrected = correct([("curr", subject, difference.p), ...])
"""

import zlib
from collections.abc import Sequence

from tdro.config.commands import Content
from tdro.evaluation.statistics import Difference, Resamples, combine, holm, resample
from tdro.report.queries import Pair, Scores, averaged
from tdro.report.subjects import Subject

#: Scores of a mixture and of the baseline on every dataset, after training with one seed.
Run = tuple[dict[Pair, Scores], dict[Pair, Scores]]


def compare(settings: Content, subjects: Sequence[Subject], runs: Sequence[Run]) -> list[Difference]:
    """The difference of every subject; with several runs, those of the seeds, their spread is part of it.

    A query's difference is its mean over the seeds, each against the baseline of the same seed.
    """
    report = settings.report
    here, base = (averaged([run[side] for run in runs]) for side in (0, 1))
    resamples = {
        pair: resample(
            scores.values - base[pair].values,
            samples=report.bootstrap_samples,
            seed=[report.seed, zlib.crc32("/".join(pair).encode())],
        )
        for pair, scores in here.items()
    }
    found = []
    for subject in subjects:
        parts = [(weight, _column(resamples[pair], here[pair], subject)) for pair, weight in subject.weights.items()]
        seeds = [[score(subject, one) - score(subject, other)] for one, other in runs] if len(runs) > 1 else None
        found += combine(parts, confidence=report.confidence, seeds=seeds)
    return found


def score(subject: Subject, scores: dict[Pair, Scores]) -> float:
    """The mean over a subject's datasets."""
    return float(sum(weight * scores[pair].mean(subject.metric) for pair, weight in subject.weights.items()))


def _column(part: Resamples, scores: Scores, subject: Subject) -> Resamples:
    """The resamples of one metric."""
    place = scores.metrics.index(subject.metric)
    one = slice(place, place + 1)
    return Resamples(part.observed[one], part.bootstrap[:, one], part.flipped[:, one])


def correct(comparisons: Sequence[tuple[str, Subject, float]]) -> list[tuple[float, int]]:
    """Holm's p of every comparison of a model, and for how many it corrects.

    All mixtures and all columns of the main table are one family, whatever their main metrics are; so are all second
    metrics, and so are single datasets that are no column. What is one comparison under two names counts once.

    Args:
        comparisons: Mixture, subject and p of each.
    """
    families: dict[tuple, dict[tuple, float]] = {}
    for mixture, subject, p in comparisons:
        families.setdefault(_family(subject), {})[mixture, subject.same] = p
    corrected = {
        family: dict(zip(members, holm(list(members.values())), strict=True)) for family, members in families.items()
    }
    found = []
    for mixture, subject, _ in comparisons:
        members = corrected[_family(subject)]
        found.append((members[mixture, subject.same], len(members)))
    return found


def _family(subject: Subject) -> tuple:
    return subject.family, subject.rank


def verdict(settings: Content, difference: Difference, corrected: float) -> str:
    """Gain or loss where the corrected p lies below 1 minus the confidence and the interval leaves out zero."""
    if corrected >= 1 - settings.report.confidence or difference.low <= 0 <= difference.high:
        return "unclear"
    return "gain" if difference.mean > 0 else "loss"


def bounds(difference: Difference) -> str:
    """The interval's two ends: ``[-0.003, +0.027]``."""
    return f"[{difference.low:+.3f}, {difference.high:+.3f}]"
