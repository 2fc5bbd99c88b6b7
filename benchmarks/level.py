"""How often a report calls a difference a gain or a loss where there is none, and how often it finds one that is there.

    python benchmarks/level.py                        # tables of 1,000 reports a line: an hour on two cores
    python benchmarks/level.py --reports 200 --only seeds

A report is made up from ranks, not from the normal numbers that its statistics are derived from. Each query has a
difficulty; each mixture ranks the relevant passage higher or lower by what is the query's, the training's and of both;
what a rank scores is nDCG@10: 1, 0.63, 0.5 and so on, and 0 from rank 11 on. Seeds have something in common that all
mixtures of a seed share. All of it is symmetric between the mixtures, so that none is better than another, except in
the lines that say so. What is judged is what the report judges: every mixture against `uniform` on every benchmark and
on their mean, corrected together (:func:`tdro.report.scores.comparison.judge`); or what `tdro study` recommends
(:func:`tdro.report.study.recommend.of_model`).

A line is marked where a method that keeps its promise would give as much in less than one case of a thousand.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context

import numpy as np
from scipy.stats import binom

from tdro.config.commands import Content, RecommendJob
from tdro.evaluation.power import Design, Spread, power
from tdro.report.scores.comparison import Judged, compare, judge
from tdro.report.scores.queries import ALL_SEEDS, Runs, Scores, over_seeds
from tdro.report.scores.subjects import MEAN, subjects
from tdro.report.study import devscores, recommend

#: Share of reports without an effect that may call something a gain or a loss.
PROMISED = 0.05
# Reports that one process makes at a time; queries and seeds by which spreads are measured; resamples.
_BLOCK, _MANY, _SAMPLES = 25, (20_000, 60), 1000


@dataclass(frozen=True)
class Regime:
    """What is compared, and how ranks scatter: standard deviations of the logarithm of a rank.

    Attributes:
        says: What is special.
        queries: Of each benchmark.
        seeds: How many.
        mixtures: That are compared with the baseline.
        difficulty: Mean over the queries; 0 is a rank of 1 for half of them.
        queries_differ: Between queries.
        query: Of a mixture's effect on a query.
        training: Of a training, on all benchmarks, and as much again on each.
        both: Of what is neither the query's nor the training's.
        shared: Of a seed, on all mixtures.
        tails: Degrees of freedom of Student's distribution of trainings; infinite: normal.
        collapses: Share of the mixtures' trainings that score 0.1 less, made good by all others.
        lopsided: Of a difference that is a loss on most queries and a gain on few, zero in the mean; in nDCG@10.
        parts: Whether the benchmarks are one, asking the same questions in several languages.
        better: Mixtures that rank higher by `by`, which are left out of what is counted.
        by: How much.
        study: Whether the choice of a study is counted.
    """

    says: str
    queries: tuple[int, ...] = (60, 100, 200)
    seeds: int = 5
    mixtures: int = 5
    difficulty: float = 0.5
    queries_differ: float = 2.0
    query: float = 0.35
    training: float = 0.05
    both: float = 0.5
    shared: float = 0.1
    tails: float = np.inf
    collapses: float = 0.0
    lopsided: float = 0.0
    parts: bool = False
    better: int = 0
    by: float = 0.0
    study: bool = False

    @property
    def names(self) -> list[str]:
        """The baseline, then mixtures that a study may recommend."""
        return ["uniform", *(f"bag{n}-1" for n in range(1, self.mixtures + 1))]


#: Two models, one of each training: nothing of a training is chance, as both are what they are.
TWO_MODELS = {"seeds": 1, "training": 0.0, "shared": 0.0}
#: Many queries, which differ by little: trainings alone decide.
TRAININGS = {"queries": (500,), "query": 0.05, "both": 0.1, "training": 0.1}
#: Where the promise holds.
KEPT = [
    Regime("two models", **TWO_MODELS),
    *(Regime("trainings and queries", seeds=seeds) for seeds in (2, 3, 5, 12)),
    *(Regime("nearly all is the chance of trainings", seeds=seeds, **TRAININGS) for seeds in (2, 3, 5, 12)),
    Regime("trainings with heavy tails", tails=3, **TRAININGS | {"seeds": 5}),
    Regime("easy: most queries find their passage first", difficulty=-2.5),
    Regime("hard: most queries score 0", difficulty=4.5),
    Regime("very unequal benchmarks", queries=(20, 100, 1000)),
    Regime("few queries, two models", queries=(20, 30), **TWO_MODELS),
    Regime("one benchmark in five languages, two models", queries=(100,) * 5, parts=True, **TWO_MODELS),
    Regime("one benchmark in five languages", queries=(100,) * 5, parts=True),
    Regime("half of the mixtures are better; the others", mixtures=6, better=3, by=0.3),
    Regime("24 mixtures", queries=(200,), mixtures=24, seeds=12),
    Regime("recommended by a study", queries=(100,) * 4, study=True),
    Regime("recommended by a study", queries=(100,) * 4, study=True, seeds=12),
]
#: Where it does not, and why.
LIMITS = [
    *(
        Regime(f"one seed, taken for the mixture; trainings differ by {by} in nDCG@10", seeds=1, training=training)
        for training, by in ((0.02, 0.007), (0.05, 0.017), (0.1, 0.034))
    ),
    *(Regime("lopsided", queries=(n,), lopsided=0.1, query=0.0, both=0.05, **TWO_MODELS) for n in (30, 100, 300)),
    *(
        Regime("one training in ten collapses", seeds=seeds, collapses=0.1, **TRAININGS | {"training": 0.02})
        for seeds in (3, 5, 12)
    ),
]

#: One mixture that is better among those that are not, on one benchmark.
BETTER = [
    Regime("one is better", queries=(queries,), seeds=seeds, mixtures=mixtures, better=1, by=by)
    for queries, seeds, mixtures, by in (
        *((100, seeds, 1, by) for seeds, by in ((1, 0.5), (5, 0.5), (12, 0.4))),
        *((500, seeds, 1, by) for seeds, by in ((3, 0.3), (5, 0.2), (12, 0.15))),
        *((300, seeds, 12, by) for seeds, by in ((5, 0.4), (8, 0.3), (20, 0.2))),
    )
]


def ranks(regime: Regime, random: np.random.Generator, queries: int, common: dict) -> np.ndarray:
    """Ranks of the relevant passages on one benchmark, shape (mixtures, seeds, queries).

    Args:
        regime: What is compared.
        random: Chance.
        queries: How many.
        common: What benchmarks share: the chance of each training, and the questions, where they are the same.
    """
    shape = (len(regime.names), regime.seeds, queries)
    asked = common.get("asked") or {
        "difficulty": random.normal(regime.difficulty, regime.queries_differ, queries),
        "effect": random.normal(0, regime.query, (shape[0], 1, queries)),
    }
    if regime.parts:
        common["asked"] = asked
    own = regime.training * trainings(regime, random)
    found = asked["difficulty"] + asked["effect"] + common["training"] + own[:, :, None]
    found = found + random.normal(0, regime.both, shape)
    found[1 : regime.better + 1] -= regime.by
    return 1 + np.floor(np.exp(np.minimum(found, 15)))


def trainings(regime: Regime, random: np.random.Generator) -> np.ndarray:
    """The chance of every training, in standard deviations: shape (mixtures, seeds)."""
    shape = (len(regime.names), regime.seeds)
    return random.normal(size=shape) if np.isinf(regime.tails) else random.standard_t(regime.tails, shape)


def ranked(regime: Regime, random: np.random.Generator) -> list[np.ndarray]:
    """Ranks on every benchmark."""
    chance = regime.training * trainings(regime, random) + random.normal(0, regime.shared, regime.seeds)
    common = {"training": chance[:, :, None]}
    return [ranks(regime, random, queries, common) for queries in regime.queries]


def ndcg(regime: Regime, random: np.random.Generator) -> list[np.ndarray]:
    """nDCG@10 of one relevant passage, on every benchmark."""
    values = [np.where(found <= 10, 1 / np.log2(found + 1), 0.0) for found in ranked(regime, random)]
    fallen = random.random((regime.mixtures, regime.seeds, 1)) < regime.collapses
    for one in values:
        one[1:] += 0.1 * (regime.collapses - fallen)
        if regime.lopsided:
            one[1:] += regime.lopsided * (random.exponential(size=one[1:].shape) - 1)
    return values


def judged(regime: Regime, random: np.random.Generator, samples: int) -> dict[str, list[Judged]]:
    """Of one report: what is said of every mixture in the main table, on every benchmark and their mean."""
    benchmarks = {f"b{n}": [f"b{n}"] for n in range(len(regime.queries))}
    if regime.parts:
        benchmarks = {"b": list(benchmarks)}
    shape = {"seeds": range(regime.seeds), "mixtures": regime.names, "report": {"bootstrap_samples": samples}}
    settings = Content(models=["m"], proxy="m", tasks=["t"], benchmarks=benchmarks, **shape)
    values = ndcg(regime, random)
    pairs = [(benchmark, dataset) for benchmark, datasets in benchmarks.items() for dataset in datasets]
    runs = _runs(regime, pairs, ("ndcg_at_10",), [one[..., None] for one in values])
    about = subjects(settings, runs["uniform"][ALL_SEEDS])
    compared = {mixture: compare(settings, about, runs[mixture], runs["uniform"]) for mixture in settings.challengers}
    columns = [place for place, subject in enumerate(about) if subject.dataset == MEAN]
    return {m: [found[at] for at in columns] for m, found in judge(settings, about, compared).items()}


def false(regime: Regime, random: np.random.Generator, samples: int) -> list[str]:
    """The verdicts on mixtures that are not better."""
    found = judged(regime, random, samples)
    return [one.verdict for mixture in regime.names[regime.better + 1 :] for one in found[mixture]]


def recommended(regime: Regime, random: np.random.Generator, samples: int) -> list[str]:
    """What a study chooses, by reciprocal ranks."""
    dev = {f"t{n}": [f"t{n}"] for n in range(len(regime.queries))}
    shape = {"seeds": range(regime.seeds), "mixtures": regime.names, "report": {"bootstrap_samples": samples}}
    settings = RecommendJob(models=["m"], dev=dev, **shape)
    values = [np.stack([1 / found, -np.log(found)], axis=-1) for found in ranked(regime, random)]
    runs = _runs(regime, devscores.pairs(settings), devscores.METRICS, values)
    chosen = recommend.of_model(settings, runs)["recommended"]
    return ["unclear" if chosen == "uniform" else "gain"]


def _runs(regime: Regime, pairs: list, metrics: tuple[str, ...], values: list[np.ndarray]) -> dict[str, Runs]:
    """Scores as the report reads them."""
    asked = [[f"{0 if regime.parts else place}-{n}" for n in range(size)] for place, size in enumerate(regime.queries)]
    return {
        mixture: over_seeds(
            {
                seed: {pair: Scores(metrics, values[at][number, seed], asked[at]) for at, pair in enumerate(pairs)}
                for seed in range(regime.seeds)
            }
        )
        for number, mixture in enumerate(regime.names)
    }


def called(regime: Regime, reports: int, samples: int = _SAMPLES, seed: int = 0) -> tuple[int, int]:
    """Of so many reports, how many call anything a gain or a loss, and how many call something a gain."""
    random, found = np.random.default_rng(seed), []
    for _ in range(reports):
        found.append((recommended if regime.study else false)(regime, random, samples))
    return sum(set(one) != {"unclear"} for one in found), sum("gain" in one for one in found)


def told(regime: Regime, reports: int, samples: int = _SAMPLES, seed: int = 0) -> int:
    """Of so many reports, how many call the first mixture a gain."""
    random, first = np.random.default_rng(seed), regime.names[1]
    return sum(judged(regime, random, samples)[first][0].verdict == "gain" for _ in range(reports))


def bound(reports: int) -> int:
    """More calls than this come of a kept promise in less than one case of a thousand."""
    return int(binom.isf(0.001, reports, PROMISED))


def spread(regime: Regime, random: np.random.Generator) -> tuple[float, Spread]:
    """The mean difference of the first mixture in nDCG@10, and how it scatters, by many queries and seeds."""
    queries, seeds = _MANY
    one = replace(regime, queries=(queries,), seeds=seeds, mixtures=1, better=min(1, regime.better))
    uniform, other = ndcg(one, random)[0]
    differences = other - uniform
    over_seeds_, over_queries = differences.mean(axis=0), differences.mean(axis=1)
    both = differences - over_seeds_ - over_queries[:, None] + differences.mean()
    rest = (both**2).sum() / ((queries - 1) * (seeds - 1))
    parts = (over_seeds_.var(ddof=1) - rest / seeds, over_queries.var(ddof=1) - rest / queries)
    query, training = (float(np.sqrt(max(0.0, part))) for part in parts)
    return float(differences.mean()), Spread(query, training, float(np.sqrt(rest)))


def main() -> None:
    """Print the tables."""
    options = _arguments()
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        for heading, regimes in (("No effect", KEPT), ("No effect, where the promise does not hold", LIMITS)):
            print(f"\n{heading}\n\n| what | seeds | queries | mixtures | called | a gain |\n|---|--:|--:|--:|--:|--:|")
            for regime in (one for one in regimes if options.only in one.says):
                found = _in_blocks(pool, partial(called, regime), options.reports)
                calls, gains = map(sum, zip(*found, strict=True))
                mark = " (!)" if calls > bound(options.reports) else ""
                shares = f"{calls / options.reports:.1%}{mark} | {gains / options.reports:.1%}"
                print(f"| {regime.says} | {_sizes(regime)} | {shares} |", flush=True)
        print(
            "\nAn effect\n\n| gain | seeds | queries | mixtures | by the formula | found |\n|--:|--:|--:|--:|--:|--:|"
        )
        for number, regime in enumerate(one for one in BETTER if options.only in one.says):
            gain, scatter = spread(regime, np.random.default_rng(number))
            told_by = power(gain, Design(regime.queries[0], regime.seeds, regime.mixtures, spread=scatter))
            share = sum(_in_blocks(pool, partial(told, regime), options.reports)) / options.reports
            print(f"| {gain:.3f} | {_sizes(regime)} | {told_by:.0%} | {share:.0%} |", flush=True)


def _in_blocks(pool: ProcessPoolExecutor, count: Callable, reports: int) -> list:
    """What is counted of some reports at a time, each by chance of its own."""
    sizes = [min(_BLOCK, reports - start) for start in range(0, reports, _BLOCK)]
    return list(pool.map(count, sizes, [_SAMPLES] * len(sizes), range(len(sizes))))


def _sizes(regime: Regime) -> str:
    return f"{regime.seeds} | {', '.join(map(str, regime.queries))} | {regime.mixtures}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=1000)
    parser.add_argument("--only", default="", help="lines that contain this")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
