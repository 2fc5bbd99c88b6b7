"""What the figures say, in plain words, and what they cannot say."""

from dataclasses import dataclass

from tdro.registry import IN_DOMAIN
from tdro.report.content import BASELINE, Content
from tdro.report.formats import between, bounds, listed, percent, plural, signed
from tdro.report.scores import OUT_OF_DOMAIN, Results, Row
from tdro.report.tables import columns

# Below this many queries a percentile interval is known to be too narrow.
_FEW_QUERIES = 30

_VERDICTS = {
    "gain": "a distinguishable gain",
    "loss": "a distinguishable loss",
    "unclear": "not distinguishable from zero",
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


def _sentences(settings: Content, results: Results, model: str, mixture: str) -> list[str]:
    if _same(results, model, mixture):
        return [f"On every query the same scores as {BASELINE}."]
    sentences = []
    for column in columns(settings):
        if column.benchmark in (IN_DOMAIN, OUT_OF_DOMAIN):
            row = results.find(model, mixture, column.benchmark)
            sentences.append(
                f"{column.heading.capitalize()} ({column.note}): {row.uniform:.3f} to {row.score:.3f}, "
                f"{_difference(row)}, {_VERDICTS[row.verdict]}{_agreement(settings, results, row)}."
            )
    outside = [results.find(model, mixture, name) for name in settings.out_of_domain]
    inside = [results.find(model, mixture, IN_DOMAIN, dataset=d) for d in settings.benchmarks.get(IN_DOMAIN, [])]
    sentences += _tally("benchmark", [(row.benchmark, row) for row in outside])
    return sentences + _tally("in-domain task", [(row.dataset, row) for row in inside])


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


def _difference(row: Row) -> str:
    return f"{signed(row.difference.mean)} {bounds(row.difference)}"


def _agreement(settings: Content, results: Results, row: Row) -> str:
    """Whether the seeds, each against the baseline of the same seed, point the same way, and how surely."""
    if len(settings.seeds) < 2:
        return ""
    means = [results.find(row.model, row.mixture, row.benchmark, seed=s).difference.mean for s in settings.seeds]
    same = sum((mean > 0) == (row.difference.mean > 0) for mean in means)
    sure = _VERDICTS["unclear"] if row.seed_verdict == "unclear" else "distinguishable"
    return (
        f" by its queries; {same} of {len(means)} seeds point this way, from {signed(min(means))} to "
        f"{signed(max(means))}; over seeds {between(*row.seed_interval)}, {sure}"
    )


def cautions(settings: Content, results: Results) -> list[str]:
    """What a reader must know before quoting a figure of this report."""
    if not settings.challengers:
        return [f"Only {BASELINE} was trained: there is nothing to compare it with. Add mixtures under `mixtures:`."]
    return [_about_seeds(settings), *_about_chance(settings, results), *_about_few_queries(settings, results)]


def _about_seeds(settings: Content) -> str:
    if len(settings.seeds) == 1:
        return (
            f"One training seed ({settings.seeds[0]}): the intervals cover the choice of queries only, not the "
            "randomness of training. Two seeds of the same mixture can differ by as much as two mixtures do, so a "
            "gain or loss below may be luck of the draw even where the test tells it from zero. To see the spread, "
            "list more seeds in the configuration, for example seeds: [42, 43, 44], and run again; "
            "finished seeds are kept."
        )
    return (
        f"{plural(len(settings.seeds), 'training seed')}: a query's difference is averaged over the seeds before "
        "queries are resampled, so these intervals cover the choice of queries. The table of seeds has the interval "
        "over the seeds, which covers the randomness of training. Trust a difference that both tell from zero."
    )


def _about_chance(settings: Content, results: Results) -> list[str]:
    """Many intervals at once, and what a wide one means."""
    compared = [
        row
        for model in settings.models
        for mixture in settings.challengers
        for row in (
            *(results.find(model, mixture, name) for name in settings.out_of_domain),
            *(results.find(model, mixture, IN_DOMAIN, dataset=d) for d in settings.benchmarks.get(IN_DOMAIN, [])),
        )
    ]
    level = settings.report.confidence
    widths = sorted((row.difference.high - row.difference.low) / 2 for row in compared)
    return [
        f"A gain or a loss is one whose p, corrected by Holm's procedure, lies below {1 - level:.2g}: within a model "
        "and mixture that calls benchmarks different which are not in at most that share of reports; datasets within "
        f"benchmarks are corrected as one family of their own. {plural(len(compared), 'interval')} at {percent(level)} "
        f"are not corrected: {len(compared) * (1 - level):.1f} would exclude zero by chance if no mixture changed "
        "anything. Weigh the averages first.",
        f"Not distinguishable is not the same as equal. On a typical dataset here the interval reaches "
        f"{widths[len(widths) // 2]:.3f} to either side, so a smaller difference stays invisible; "
        "more queries narrow it.",
    ]


def _about_few_queries(settings: Content, results: Results) -> list[str]:
    few = [
        f"{row.dataset} ({row.queries})"
        for benchmark, datasets in settings.benchmarks.items()
        for dataset in datasets
        for row in [results.find(settings.models[0], BASELINE, benchmark, dataset=dataset)]
        if row.queries < _FEW_QUERIES
    ]
    return [f"Fewer than {_FEW_QUERIES} queries, so the interval is too narrow: {listed(few)}."] if few else []
