import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tdro.evaluation import statistics
from tdro.evaluation.statistics import Difference, combine, holm, resample, standard_errors

VALUES = st.floats(-1, 1, allow_subnormal=False)
VECTORS = arrays.arrays(np.float64, st.integers(1, 40), elements=VALUES)


def compare(differences, *, samples=2000, confidence=0.95, seed=0) -> Difference:
    """The unweighted average over datasets of one metric."""
    parts = [
        (1 / len(differences), resample(np.asarray(values)[:, None], samples=samples, seed=[seed, number]))
        for number, values in enumerate(differences.values())
    ]
    return combine(parts, confidence=confidence)[0]


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_one_dataset_matches_scipy(confidence):
    random = np.random.default_rng(3)
    one, other = random.beta(2, 2, 300), random.beta(2, 3, 300)
    ours = compare({"nq": one - other}, samples=20_000, confidence=confidence)
    theirs = scipy.stats.bootstrap(
        (one, other),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        paired=True,
        method="percentile",
        confidence_level=confidence,
        n_resamples=20_000,
        rng=1,
    ).confidence_interval
    assert ours.mean == pytest.approx((one - other).mean())
    assert [ours.low, ours.high] == pytest.approx([theirs.low, theirs.high], abs=0.002)


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.04])
def test_p_matches_scipy(shift):
    random = np.random.default_rng(2)
    one, other = random.beta(2, 2, 200) + shift, random.beta(2, 2, 200)
    theirs = scipy.stats.permutation_test(
        (one, other),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=1,
    )
    assert compare({"nq": one - other}, samples=20_000).p == pytest.approx(theirs.pvalue, abs=0.02)


def test_p_of_few_queries_is_exact():
    values = np.array([0.5, 0.25, 0.125, 0.25])
    # Of 16 assignments of signs only two reach the observed mean: none flipped, all flipped.
    assert compare({"a": values}, samples=40_000).p == pytest.approx(2 / 16, abs=0.006)


def test_datasets_count_the_same_and_are_resampled_apart():
    random = np.random.default_rng(4)
    data = {"large": random.normal(0.1, 0.3, 900), "small": random.normal(-0.2, 0.3, 40)}
    ours = compare(data, samples=20_000)
    assert ours.mean == pytest.approx((data["large"].mean() + data["small"].mean()) / 2)
    # The variance of a mean of two independent means, by the normal approximation.
    deviation = np.sqrt(sum(values.var() / len(values) for values in data.values())) / 2
    assert ours.high - ours.low == pytest.approx(2 * 1.96 * deviation, rel=0.05)


def test_metrics_of_a_query_are_resampled_together():
    values = np.random.default_rng(1).normal(size=(50, 1))
    part = resample(np.hstack([values, -2 * values]), samples=500, seed=3)
    assert part.bootstrap[:, 1] == pytest.approx(-2 * part.bootstrap[:, 0])
    assert part.flipped[:, 1] == pytest.approx(-2 * part.flipped[:, 0])


def test_weights_are_those_of_the_sum():
    one, two = (resample(np.full((5, 1), value), samples=10, seed=0) for value in (1.0, 3.0))
    assert combine([(0.25, one), (0.75, two)], confidence=0.9)[0].mean == pytest.approx(2.5)


def test_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(6)
    hits = 0
    for trial in range(400):
        data = {name: random.normal(shift, 0.2, n) for name, shift, n in (("a", 0.1, 80), ("b", 0.0, 50))}
        found = compare(data, samples=400, confidence=0.9, seed=trial)
        hits += found.low <= 0.05 <= found.high
    # 400 trials at 0.9 have a standard deviation of 6; four of them either way.
    assert abs(hits - 360) < 4 * 6 + 6


def test_the_randomisation_test_is_wrong_as_often_as_it_says():
    random = np.random.default_rng(9)
    levels = {0.05: 0, 0.2: 0}
    for trial in range(400):
        # Skewed, mostly zero, of unequal size: symmetric about zero is all that the test asks of no difference.
        data = {
            name: random.exponential(0.3, n) * random.choice([-1, 0, 1], n, p=[0.2, 0.6, 0.2])
            for name, n in (("a", 60), ("b", 25))
        }
        p = compare(data, samples=400, seed=trial).p
        for level in levels:
            levels[level] += p <= level
    for level, wrong in levels.items():
        assert abs(wrong / 400 - level) < 4 * np.sqrt(level * (1 - level) / 400) + 0.005


def test_the_randomisation_test_finds_what_is_there():
    random = np.random.default_rng(10)
    found = [compare({"a": random.normal(0.1, 0.2, 80)}, samples=400, seed=t).p <= 0.05 for t in range(100)]
    # 0.1 is 4.5 standard errors: a power above 0.99.
    assert sum(found) >= 95


def test_the_effect_size_is_the_mean_over_the_spread_of_differences():
    random = np.random.default_rng(8)
    data = {"a": random.normal(0.3, 0.5, 200), "b": random.normal(0.0, 1.0, 50)}
    alone = compare({"a": data["a"]})
    # Cohen's d of pairs is t over the root of n.
    assert alone.effect == pytest.approx(scipy.stats.ttest_1samp(data["a"], 0).statistic / np.sqrt(200))
    spread = np.sqrt((data["a"].var(ddof=1) + data["b"].var(ddof=1)) / 2)
    assert compare(data).effect == pytest.approx((data["a"].mean() + data["b"].mean()) / 2 / spread)
    assert compare({"a": np.full(20, 0.5)}).effect is None


def test_no_difference_is_zero_exactly():
    assert compare({"a": np.zeros(50), "b": np.zeros(3)}) == Difference(0, 0, 0, 1)


@given(st.dictionaries(st.text(min_size=1, max_size=3), VECTORS, min_size=1, max_size=4), st.integers(0, 2**32))
@settings(max_examples=50)
def test_a_difference_is_ordered_bounded_deterministic_and_antisymmetric(data, seed):
    first = compare(data, samples=100, seed=seed)
    assert first == compare(data, samples=100, seed=seed)
    least = np.mean([values.min() for values in data.values()])
    most = np.mean([values.max() for values in data.values()])
    assert least - 1e-9 <= first.low <= first.high <= most + 1e-9
    assert 0 < first.p <= 1
    swapped = compare({name: -values for name, values in data.items()}, samples=100, seed=seed)
    assert [swapped.mean, swapped.low, swapped.high] == pytest.approx([-first.mean, -first.high, -first.low], abs=1e-9)
    assert swapped.p == first.p


def test_blocks_do_not_change_the_result(monkeypatch):
    values = np.random.default_rng(8).normal(size=70)
    whole = compare({"a": values}, samples=1000)
    monkeypatch.setattr(statistics, "_BLOCK", 700)
    blocks = compare({"a": values}, samples=1000)
    assert [blocks.low, blocks.high, blocks.p] == pytest.approx([whole.low, whole.high, whole.p])


@pytest.mark.parametrize("values", [np.zeros((0, 1)), np.array([[0.1], [np.nan]]), np.zeros(2)])
def test_what_cannot_be_compared_is_refused(values):
    with pytest.raises(ValueError):
        resample(values, samples=10, seed=0)
    with pytest.raises(ValueError):
        combine([], confidence=0.95)


def test_holm_by_hand():
    # Sorted 0.01 x 4, 0.02 x 3, 0.03 x 2 (below the one before it, so that is kept), 0.5 x 1.
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=20))
def test_holm_rejects_what_its_steps_reject(p_values):
    """Holm's own procedure: reject from the smallest on, as long as p <= alpha / (number left)."""
    alpha = 0.05
    rejected, left = set(), len(p_values)
    for place in sorted(range(len(p_values)), key=lambda i: (p_values[i], i)):
        if p_values[place] * left > alpha:
            break
        rejected.add(place)
        left -= 1
    assert {i for i, p in enumerate(holm(p_values)) if p <= alpha} == rejected


def test_holm_keeps_the_chance_of_any_false_rejection():
    random = np.random.default_rng(11)
    wrong = sum(min(holm(random.uniform(size=8).tolist())) <= 0.05 for _ in range(2000))
    assert wrong / 2000 < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 2000)


def over_seeds(values, *, samples=2000, confidence=0.95, seed=0) -> Difference:
    """One dataset, ``values`` of shape (seeds, queries)."""
    part = resample(values.mean(axis=0)[:, None], samples=samples, seed=seed)
    return combine([(1.0, part)], confidence=confidence, seeds=values.mean(axis=1)[:, None])[0]


def banerjee(values, confidence):
    """The interval of a sum of two normal means by Banerjee (1960), with Student's for seeds and for queries."""
    mean, halves = values.mean(), []
    for axis in (0, 1):
        means = values.mean(axis=axis)
        found = scipy.stats.ttest_1samp(means, 0).confidence_interval(confidence)
        halves.append((found.high - found.low) / 2)
    half = np.sqrt(np.sum(np.square(halves)))
    return mean - half, mean + half


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", [0.0, 0.02, 0.2])
def test_the_interval_holds_students_over_seeds_and_that_over_queries(seeds, spread):
    random = np.random.default_rng(12)
    values = random.normal(0.1, 0.3, 400) + random.normal(0, spread, (seeds, 1)) + random.normal(0, 0.1, (seeds, 400))
    ours = over_seeds(values, samples=10_000)
    assert (ours.low, ours.high) == pytest.approx(banerjee(values, 0.95), rel=0.05, abs=0.002)
    alone = compare({"a": values.mean(axis=0)}, samples=10_000, seed=0)
    assert ours.low <= alone.low <= alone.high <= ours.high
    assert ours.p >= alone.p


def test_p_and_interval_of_seeds_agree():
    """At half the level of p the interval still holds zero, at twice that level no more."""
    random = np.random.default_rng(13)
    values = random.normal(0.06, 0.3, 300) + random.normal(0, 0.02, (4, 1))
    p = over_seeds(values, samples=20_000).p
    assert 0.001 < p < 0.5
    for level, contains in ((p / 2, True), (p * 2, False)):
        found = over_seeds(values, samples=20_000, confidence=1 - level)
        assert (found.low <= 0 <= found.high) == contains


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(("training", "queries", "both"), [(1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1), (0.5, 2, 1)])
def test_no_effect_is_told_from_zero_at_most_as_often_as_promised(seeds, training, queries, both):
    """Without an effect, whichever of training, queries and both together makes the scatter."""
    random, trials, n = np.random.default_rng(14), 300, 30
    wrong = outside = 0
    for trial in range(trials):
        values = (
            training * random.normal(0, 1, (seeds, 1))
            + queries * np.sqrt(n) * random.normal(0, 1, n)
            + both * np.sqrt(n) * random.normal(0, 1, (seeds, n))
        )
        found = over_seeds(values, samples=300, confidence=0.9, seed=trial)
        wrong += found.p <= 0.1
        outside += not found.low <= 0 <= found.high
    # A percentile interval of 30 queries is a little narrow by itself: 0.115 instead of 0.1.
    assert wrong / trials < 0.1 + 3 * np.sqrt(0.1 * 0.9 / trials)
    assert outside / trials < 0.115 + 3 * np.sqrt(0.1 * 0.9 / trials)


def test_resampling_two_seeds_as_if_they_were_many_would_be_wrong():
    """Why the seeds are not resampled: of two, half of all resamples are one seed twice."""
    random, wrong = np.random.default_rng(15), 0
    for _ in range(300):
        means = random.normal(0, 1, 2)
        low, high = np.quantile(means[random.integers(0, 2, (300, 2))].mean(axis=1), [0.05, 0.95])
        wrong += not low <= 0 <= high
    assert wrong / 300 > 0.4  # promised: 0.1


def test_an_effect_that_all_seeds_share_is_found():
    random = np.random.default_rng(16)
    found = [over_seeds(random.normal(0.1, 0.2, 80) + random.normal(0, 0.01, (5, 1)), seed=t).p for t in range(100)]
    assert sum(p <= 0.05 for p in found) >= 90


def test_seeds_that_all_say_the_same_add_nothing():
    values = np.random.default_rng(17).normal(0.05, 0.2, 60)
    alone = combine([(1.0, resample(values[:, None], samples=2000, seed=0))], confidence=0.95)
    assert over_seeds(np.stack([values, values])) == alone[0]


def test_a_spread_needs_two_seeds():
    assert standard_errors([[0.01], [0.03], [0.02], [0.05]]) == pytest.approx(scipy.stats.sem([0.01, 0.03, 0.02, 0.05]))
    with pytest.raises(ValueError):
        standard_errors([[0.1]])
