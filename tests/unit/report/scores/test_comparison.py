import numpy as np
import pytest
import scipy.stats
from finished import BENCHMARKS, Finished, content

from tdro.report.scores.comparison import compare
from tdro.report.scores.queries import Scores, over_seeds
from tdro.report.scores.subjects import subjects


def of_queries(tree, seed=1):
    """What ``curr`` gains on each query of one test set."""
    one, other = (tree.scores["tiny", seed, mixture, "scifact"][:, 0] for mixture in ("curr", "uniform"))
    return one - other


def test_differences_and_intervals_match_scipy(tree, built):
    row = built.row("scifact", dataset="scifact")
    assert row["difference"] == pytest.approx(of_queries(tree).mean())
    assert row["score"] - row["uniform"] == pytest.approx(row["difference"])
    oracle = scipy.stats.bootstrap((of_queries(tree),), np.mean, method="percentile", n_resamples=9999, rng=0)
    assert (row["low"], row["high"]) == pytest.approx(tuple(oracle.confidence_interval), abs=0.003)


def test_p_matches_scipy_and_is_corrected_over_the_main_table_and_over_single_datasets(tmp_path):
    tree = Finished(tmp_path, shift={"curr": 0.008, "top50": 0.002})
    report = tree.report()
    pair = [tree.scores["tiny", 1, mixture, "scifact"][:, 0] for mixture in ("curr", "uniform")]
    oracle = scipy.stats.permutation_test(
        pair, lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", vectorized=True, rng=0
    )
    assert report.row("scifact", dataset="scifact")["p"] == pytest.approx(oracle.pvalue, abs=0.05)
    # Both mixtures; every column of the main table, averages too. Then the tasks, which are no column.
    challengers = [row for row in report.of(metric="ndcg_at_10", seed="all") if row["difference"]]
    table = [row for row in challengers if row["dataset"] == "(mean)"]
    tasks = [row for row in challengers if row["benchmark"] == "in_domain" and row["dataset"] != "(mean)"]
    assert [len(table), len(tasks)] == [2 * 4, 2 * 3]
    for family in table, tasks:
        ranked, running = sorted(family, key=lambda row: float(row["p"])), 0.0
        for place, row in enumerate(ranked):
            running = min(1, max(running, float(row["p"]) * (len(family) - place)))
            assert float(row["p_holm"]) == pytest.approx(running)
            assert row["comparisons"] == str(len(family))
    for row in challengers:  # an only dataset is its benchmark: one comparison, one p, one verdict
        if row["dataset"] == row["benchmark"]:
            same = report.row(row["benchmark"], row["mixture"])
            assert [float(row["p"]), float(row["p_holm"]), row["verdict"]] == [
                same[k] for k in ("p", "p_holm", "verdict")
            ]
    assert "all 8 comparisons of a model in the main table" in report.text


def test_several_seeds_are_averaged_by_query_and_their_spread_is_shown(tmp_path):
    tree = Finished(tmp_path, content(seeds=[1, 2, 3], mixtures=["uniform", "curr"]), shift={"curr": 0.05})
    report = tree.report()
    by_seed = {seed: of_queries(tree, seed) for seed in (1, 2, 3)}
    mean = np.mean(list(by_seed.values()))
    row = report.row("scifact")
    assert row["difference"] == pytest.approx(mean)
    over_queries = np.mean(list(by_seed.values()), axis=0)
    queries = scipy.stats.bootstrap((over_queries,), np.mean, method="percentile", rng=0).confidence_interval
    seeds = scipy.stats.ttest_1samp([values.mean() for values in by_seed.values()], 0).confidence_interval(0.95)
    halves = [np.hypot(*(mean - np.array(ends))) for ends in zip(queries, seeds, strict=True)]
    assert (mean - row["low"], row["high"] - mean) == pytest.approx(halves, abs=0.003)
    for seed, values in by_seed.items():
        assert report.row("scifact", seed=seed)["difference"] == pytest.approx(values.mean())
    assert "Seed by seed" in report.text and "3 of 3 seeds point this way" in report.text
    assert "95% interval over queries and seeds" in report.text
    assert "intervals over queries and seeds" in report.summary and "3 seeds (1, 2, 3)" in report.summary
    assert {row["verdict"] for row in report.rows if row["seed"] != "all"} == {""}
    assert {row["verdict"] for row in report.of(seed="all", mixture="curr")} <= {"gain", "loss", "unclear"}
    assert "One training seed" not in report.text


def test_a_gain_of_one_lucky_seed_is_none_however_many_queries_say_so(tmp_path):
    """Every query of one seed gains, no other seed does: over queries alone that is as sure as can be."""
    tree = Finished(tmp_path, content(seeds=[1, 2, 3], mixtures=["uniform", "curr"]), queries=200)
    for benchmark, datasets in BENCHMARKS.items():
        for seed, gain in ((1, 0.2), (2, 0.0), (3, 0.01)):
            moved = {d: tree.scores["tiny", seed, "uniform", d] + gain for d in datasets}
            tree.evaluation("tiny", seed, "curr", benchmark, moved)
    report = tree.report()
    assert {row["verdict"] for row in report.of(mixture="curr", seed="all")} == {"unclear"}
    assert all(float(row["low"]) < 0 for row in report.of(mixture="curr", seed="all"))
    marked = ("difference gain", "difference loss")
    assert not [tag for tag, attributes in report.tags if tag == "span" and attributes.get("class") in marked]
    assert "On none of 2 benchmarks is the difference distinguishable from zero." in report.text
    assert "* |" not in report.summary


def test_a_gain_that_all_seeds_share_is_one(tmp_path):
    tree = Finished(tmp_path, content(seeds=[1, 2, 3, 4, 5], mixtures=["uniform", "curr"]), shift={"curr": 0.1})
    rows = [row for row in tree.results().rows if (row.mixture, row.seed, row.metric) == ("curr", "all", "ndcg_at_10")]
    assert {row.verdict for row in rows} == {"gain"}


def named(number):
    """Identifiers of so many queries."""
    return [f"q{n}" for n in range(number)]


def test_languages_that_ask_the_same_questions_count_once():
    """What a question gains in Arabic it gains in Thai: twice the questions would be none the more sure."""
    random, pairs = np.random.default_rng(8), [("mkqa", "ar"), ("mkqa", "th")]
    settings = content(mixtures=["uniform", "curr"], benchmarks={"mkqa": ["ar", "th"]})
    gained = random.choice([-1.0, 0.0, 1.0], (80, 1), p=[0.1, 0.7, 0.2])
    some = gained * (random.random((80, 1)) < 0.5)
    halves = dict(zip(pairs, (some, gained - some), strict=True))  # what one language gains, the other does not
    base = over_seeds({1: {pair: Scores(("acc_at_100",), np.zeros((80, 1)), named(80)) for pair in pairs}})

    def compared(values, ids):
        here = {pair: Scores(("acc_at_100",), values[pair], ids[pair]) for pair in pairs}
        about = subjects(settings, here)
        found = compare(settings, about, over_seeds({1: here}), base)
        return {subject.dataset: one for subject, one in zip(about, found, strict=True)}

    same = dict.fromkeys(pairs, named(80))
    whole = compared(dict.fromkeys(pairs, gained), same)
    assert vars(whole["(mean)"]) == pytest.approx(vars(whole["ar"]))
    # Twice the mean of the halves is the whole, whichever queries each of them moves.
    parts = compared(halves, same)["(mean)"]
    assert [2 * parts.low, 2 * parts.high, parts.p] == pytest.approx([whole["ar"].low, whole["ar"].high, whole["ar"].p])
    others = compared(dict.fromkeys(pairs, gained), {pairs[0]: named(80), pairs[1]: named(160)[80:]})["(mean)"]
    assert others.high - others.low < 0.8 * (whole["ar"].high - whole["ar"].low)
