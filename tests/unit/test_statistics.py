import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tdro import statistics
from tdro.statistics import Interval, paired_bootstrap

VALUES = st.floats(-1, 1, allow_subnormal=False)
VECTORS = arrays.arrays(np.float64, st.integers(1, 40), elements=VALUES)


def interval(differences, *, samples=2000, confidence=0.95, seed=0) -> Interval:
    return paired_bootstrap(differences, samples=samples, confidence=confidence, seed=seed)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_one_dataset_matches_scipy(confidence):
    random = np.random.default_rng(3)
    one, other = random.beta(2, 2, 300), random.beta(2, 3, 300)
    ours = interval({"nq": one - other}, samples=20_000, confidence=confidence)
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


def test_datasets_count_the_same_and_are_resampled_apart():
    random = np.random.default_rng(4)
    data = {"large": random.normal(0.1, 0.3, 900), "small": random.normal(-0.2, 0.3, 40)}
    ours = interval(data, samples=20_000)
    assert ours.mean == pytest.approx((data["large"].mean() + data["small"].mean()) / 2)
    # The variance of a mean of two independent means, by the normal approximation.
    deviation = np.sqrt(sum(values.var() / len(values) for values in data.values())) / 2
    assert ours.high - ours.low == pytest.approx(2 * 1.96 * deviation, rel=0.05)


def test_datasets_of_the_same_values_are_resampled_independently():
    values = np.random.default_rng(5).normal(size=200)
    one, four = interval({"a": values}, samples=8000), interval(dict.fromkeys("abcd", values), samples=8000)
    assert (four.high - four.low) / (one.high - one.low) == pytest.approx(0.5, rel=0.08)


def test_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(6)
    hits = 0
    for trial in range(400):
        data = {name: random.normal(shift, 0.2, n) for name, shift, n in (("a", 0.1, 80), ("b", 0.0, 50))}
        found = interval(data, samples=400, confidence=0.9, seed=trial)
        hits += found.low <= 0.05 <= found.high
    # 400 trials at 0.9 have a standard deviation of 6; four of them either way.
    assert abs(hits - 360) < 4 * 6 + 6


def test_no_difference_is_zero_exactly():
    assert interval({"a": np.zeros(50), "b": np.zeros(3)}) == Interval(0, 0, 0)
    assert not interval({"a": np.zeros(50)}).excludes_zero


@given(st.dictionaries(st.text(min_size=1, max_size=3), VECTORS, min_size=1, max_size=4), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_interval_is_ordered_bounded_deterministic_and_antisymmetric(data, seed):
    first = interval(data, samples=100, seed=seed)
    assert first == interval(data, samples=100, seed=seed)
    least = np.mean([values.min() for values in data.values()])
    most = np.mean([values.max() for values in data.values()])
    assert least - 1e-9 <= first.low <= first.high <= most + 1e-9
    swapped = interval({name: -values for name, values in data.items()}, samples=100, seed=seed)
    assert [swapped.mean, swapped.low, swapped.high] == pytest.approx([-first.mean, -first.high, -first.low], abs=1e-9)


def test_blocks_do_not_change_the_interval(monkeypatch):
    values = np.random.default_rng(8).normal(size=70)
    whole = interval({"a": values}, samples=1000)
    monkeypatch.setattr(statistics, "_BLOCK", 700)
    blocks = interval({"a": values}, samples=1000)
    assert [blocks.low, blocks.high] == pytest.approx([whole.low, whole.high])


@pytest.mark.parametrize(
    ("low", "high", "excludes"), [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False), (0.0, 0.1, False)]
)
def test_excludes_zero(low, high, excludes):
    assert Interval((low + high) / 2, low, high).excludes_zero is excludes


@pytest.mark.parametrize("data", [{}, {"a": np.array([])}, {"a": np.array([0.1, np.nan])}, {"a": np.zeros((2, 2))}])
def test_what_cannot_be_compared_is_refused(data):
    with pytest.raises(ValueError):
        interval(data)
