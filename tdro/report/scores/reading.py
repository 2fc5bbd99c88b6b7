"""What the figures say, in plain words, and what they cannot say."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import t

from tdro.artifacts.layout import IN_DOMAIN
from tdro.config.commands import BASELINE, Content
from tdro.formats import listed, percent, plural, signed
from tdro.report.scores.comparison import Judged, bounds
from tdro.report.scores.controls import Controlled, named
from tdro.report.scores.gains import Gain
from tdro.report.scores.previews import marked
from tdro.report.scores.rows import Results, Row
from tdro.report.scores.subjects import OUT_OF_DOMAIN
from tdro.report.scores.tables import columns

# Below this many queries a percentile interval is a little narrow, and lopsided differences are called a gain or a loss
# in 8 % of reports in the place of 5 (benchmarks/level.py).
_FEW_QUERIES = 60
# Below this many seeds Student's factor is above 2.8 at 95 %.
_FEW_SEEDS = 5

# A verdict in words.
_VERDICTS = {
    "gain": "a distinguishable gain",
    "loss": "a distinguishable loss",
    "unclear": "not distinguishable from zero",
}

#: What it means that a mixture beats its controls, that they beat it, and that neither can be told.
MEANT = {
    "shuffled": {
        "gain": "which task gets which weight mattered",
        "loss": "the weights did better on other tasks than on those they were learnt for",
        "unclear": "that it matters which task gets which weight cannot be told",
    },
    "random": {
        "gain": "which tasks are kept mattered",
        "loss": "tasks chosen by chance did better",
        "unclear": "that it matters which tasks are kept cannot be told",
    },
    "longer": {
        "gain": "learning the weights paid more than training longer",
        "loss": "training longer would have paid more than learning the weights",
        "unclear": "that learning the weights paid more than training longer cannot be told",
    },
}


@dataclass(frozen=True)
class Finding:
    """What one mixture did to one model."""

    subject: str
    sentences: list[str]


def findings(settings: Content, results: Results) -> list[Finding]:
    """One finding a model and mixture, from the main metrics."""
    return [
        Finding(f"{mixture} against {BASELINE}, {model}", _sentences(settings, results, model, mixture))
        for model in settings.models
        for mixture in settings.challengers
    ]


def of_controls(found: Sequence[Controlled]) -> list[Finding]:
    """Whether learning the weights was worth it, a finding a model: what must be known before any gain is quoted."""
    by_model: dict[str, list[str]] = {}
    for one in found:
        by_model.setdefault(one.model, []).append(_against_controls(one))
    return [
        Finding(f"Whether learning the weights paid: against controls, {model}", sentences)
        for model, sentences in by_model.items()
    ]


def _against_controls(one: Controlled) -> str:
    gain, pooled = (f"{signed(found.mean)} {bounds(found)}" for found in (one.gain, one.pooled))
    return (
        f"{one.heading.capitalize()}, against {BASELINE}: {one.control.mixture} {gain}; {named(one.control)} {pooled}. "
        f"Between them {_said(one.judged)}: {MEANT[one.control.kind][one.judged.verdict]}."
    )


def of_gains(gains: Sequence[Gain]) -> list[Finding]:
    """Whether training paid, a finding a model."""
    found: dict[str, list[str]] = {}
    for gain in gains:
        found.setdefault(gain.model, []).append(
            f"{gain.heading.capitalize()}, against {gain.untrained}: {gain.before:.3f} to {gain.after:.3f}, "
            f"{_said(gain.judged)}."
        )
    return [
        Finding(f"Whether training paid: {BASELINE} against what nothing was trained for, {model}", sentences)
        for model, sentences in found.items()
    ]


def _sentences(settings: Content, results: Results, model: str, mixture: str) -> list[str]:
    if _same(results, model, mixture):
        return [f"On every query the same scores as {BASELINE}."]
    sentences = []
    for column in columns(settings):
        if column.benchmark in (IN_DOMAIN, OUT_OF_DOMAIN):
            row = results.find(model, mixture, column.benchmark)
            sentences.append(
                f"{column.heading.capitalize()} ({column.note}): {row.uniform:.3f} to {row.score:.3f}, "
                f"{_said(row.judged)}{_agreement(settings, results, row)}."
            )
    sentences += _tally(
        "benchmark", [(marked(settings, row.benchmark), row) for row in _outside(settings, results, model, mixture)]
    )
    inside = _inside(settings, results, model, mixture)
    return sentences + _tally("in-domain task", [(row.dataset, row) for row in inside])


def _outside(settings: Content, results: Results, model: str, mixture: str) -> list[Row]:
    return [results.find(model, mixture, name) for name in settings.out_of_domain]


def _inside(settings: Content, results: Results, model: str, mixture: str) -> list[Row]:
    return [results.find(model, mixture, IN_DOMAIN, dataset=task) for task in settings.benchmarks.get(IN_DOMAIN, [])]


def _same(results: Results, model: str, mixture: str) -> bool:
    """Whether no score of a mixture differs from the baseline's."""
    rows = [row for row in results.rows if (row.model, row.mixture) == (model, mixture)]
    return all(row.difference.mean == row.difference.low == row.difference.high == 0 for row in rows)


def _tally(noun: str, named: list[tuple[str, Row]]) -> list[str]:
    """How many of several rows are gains or losses, and which."""
    if not named:
        return []
    parts = []
    for kind in ("gain", "loss"):
        hits = sorted(
            (item for item in named if item[1].verdict == kind), key=lambda item: -abs(item[1].difference.mean)
        )
        if hits:
            names = listed([f"{name} ({signed(row.difference.mean)})" for name, row in hits])
            share = f"{len(hits)}" if parts else f"{len(hits)} of {plural(len(named), noun)}"
            parts.append(f"{kind} on {share}: {names}")
    unclear = sum(row.verdict == "unclear" for _, row in named)
    if unclear == len(named) == 1:
        return [f"On {named[0][0]} the difference is not distinguishable from zero."]
    if unclear == len(named):
        return [f"On none of {plural(len(named), noun)} is the difference distinguishable from zero."]
    if unclear:
        parts.append(f"not distinguishable on the other {unclear}")
    return ["Distinguishable " + "; ".join(parts) + "."]


def _said(judged: Judged) -> str:
    return f"{signed(judged.difference.mean)} {bounds(judged.difference)}, {_VERDICTS[judged.verdict]}"


def _agreement(settings: Content, results: Results, row: Row) -> str:
    """Whether the seeds, each against the baseline of the same seed, point the same way."""
    if len(settings.seeds) < 2:
        return ""
    means = [results.find(row.model, row.mixture, row.benchmark, seed=s).difference.mean for s in settings.seeds]
    same = sum((mean > 0) == (row.difference.mean > 0) for mean in means)
    return f"; {same} of {len(means)} seeds point this way, from {signed(min(means))} to {signed(max(means))}"


def cautions(settings: Content, results: Results) -> list[str]:
    """What a reader must know before quoting a figure of this report."""
    if not settings.challengers:
        return [f"Only {BASELINE} was trained: there is nothing to compare it with. Add mixtures under `mixtures:`."]
    return [
        _about_seeds(settings),
        *_about_samples(settings, results),
        *_about_chance(settings, results),
        *_about_few_queries(settings, results),
    ]


def _about_seeds(settings: Content) -> str:
    if len(settings.seeds) == 1:
        return (
            f"One training seed ({settings.seeds[0]}): the intervals cover the choice of queries only, not the "
            "randomness of training. Two seeds of the same mixture can differ by as much as two mixtures do, so a "
            "gain or loss below may be luck of the draw even where the test tells it from zero. To see the spread, "
            "list more seeds in the configuration, for example seeds: [42, 43, 44], and run again; "
            "finished seeds are kept."
        )
    number = len(settings.seeds)
    factor = t.isf((1 - settings.report.confidence) / 2, number - 1)
    few = " Few seeds make it wide: add some to narrow it." if number < _FEW_SEEDS else ""
    return (
        f"{plural(number, 'training seed')}: every interval, p and verdict holds both the choice of queries and the "
        "randomness of training, so that neither many queries nor one lucky seed makes a gain. The seeds' part of an "
        f"interval reaches {factor:.1f} standard errors of their mean (Student's factor for {number} seeds) to either "
        f"side.{few}"
    )


def _about_samples(settings: Content, results: Results) -> list[str]:
    """Whether any p can fall below the level once it is corrected."""
    size, samples = _comparisons(settings, results), settings.report.bootstrap_samples
    needed = math.ceil(size / (1 - settings.report.confidence))
    if samples >= needed:
        return []
    return [
        f"With {samples:,} resamples no p can be small enough to call one of {size:,} comparisons a gain or a loss: "
        f"the smallest is 1 in {samples + 1:,}. Set report.bootstrap_samples to {needed:,} at least."
    ]


def _comparisons(settings: Content, results: Results) -> int:
    """Comparisons of a model in the main table."""
    return results.find(settings.models[0], settings.challengers[0], columns(settings)[0].benchmark).judged.comparisons


def _about_chance(settings: Content, results: Results) -> list[str]:
    """Many intervals at once, and what a wide one means."""
    compared = [
        row
        for model in settings.models
        for mixture in settings.challengers
        for part in (_outside, _inside)
        for row in part(settings, results, model, mixture)
    ]
    level = settings.report.confidence
    widths = sorted((row.difference.high - row.difference.low) / 2 for row in compared)
    return [
        f"A gain or a loss has a p below {1 - level:.2g} after Holm's correction, and an interval without zero. "
        f"Corrected together are all {plural(_comparisons(settings, results), 'comparison')} of a model in the main "
        "table, mixtures times columns: if no mixture changed anything, at most that share of reports would call "
        "anything a gain or a loss there. Each table of another metric is corrected as a family of its own, and so are "
        "the tasks and parts within benchmarks; models are not corrected for each other. Intervals are not corrected: "
        f"{len(compared) * (1 - level):.1f} of {plural(len(compared), 'interval')} at {percent(level)} would leave out "
        "zero by chance if no mixture changed anything. Weigh the averages first.",
        f"Not distinguishable is not the same as equal. On a typical dataset here the interval reaches "
        f"{widths[len(widths) // 2]:.3f} to either side, so a smaller difference stays invisible; "
        f"more queries{' and more seeds' if len(settings.seeds) > 1 else ''} narrow it.",
    ]


def _about_few_queries(settings: Content, results: Results) -> list[str]:
    few = [
        f"{row.dataset} ({row.queries})"
        for benchmark, datasets in settings.benchmarks.items()
        for dataset in datasets
        for row in [results.find(settings.models[0], BASELINE, benchmark, dataset=dataset)]
        if row.queries < _FEW_QUERIES
    ]
    if not few:
        return []
    return [
        f"Fewer than {_FEW_QUERIES} queries, so the interval is too narrow, and where a mixture gains much on few "
        f"queries and loses a little on most, or the other way round, a verdict comes too easily: {listed(few)}."
    ]
