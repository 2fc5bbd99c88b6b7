"""The best ratio, against conditions that hold at the optimum only, and against looking everywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tdro.mixtures.bestratio import best_ratio, limits_of
from tdro.mixtures.mixinglaw import Law, fit_law
from tdro.mixtures.ratios import candidate_ratios

EVEN = np.full(4, 0.25)


def law(seed, tasks=4, dev=3):
    random = np.random.default_rng(seed)
    return Law(random.uniform(0.1, 1, dev), random.normal(-0.3, 0.7, (dev, tasks)))


def targets(of, ratios, prior, strength=0.05):
    """What is minimised, without its constant, at many ratios."""
    uniform = of.losses(np.full((1, ratios.shape[1]), 1 / ratios.shape[1]))
    told = ((of.losses(ratios) - of.floors) / uniform).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.where(ratios > 0, ratios * np.log(ratios / prior), 0)
    return told + strength * apart.sum(axis=1)


@given(st.integers(0, 999))
@settings(max_examples=20)
def test_no_ratio_that_was_looked_at_is_better(seed):
    of, random = law(seed), np.random.default_rng(seed)
    prior = random.dirichlet(np.full(4, 3.0))
    limits = random.uniform(0.3, 1, 4)
    found = best_ratio(of, prior, limits)
    assert found.sum() == pytest.approx(1) and (found >= 0).all() and (found <= limits + 1e-9).all()
    near = found + random.normal(0, 0.02, (3000, 4))
    tried = np.vstack([random.dirichlet(np.ones(4), 20_000), near - near.mean(axis=1, keepdims=True) + 0.25])
    tried = tried[((tried <= limits) & (tried >= 0)).all(axis=1)]
    assert targets(of, found[None], prior)[0] <= targets(of, tried, prior).min() + 1e-7


@given(st.integers(0, 999), st.integers(2, 12))
@settings(max_examples=20)
def test_what_is_not_at_its_limit_has_one_gradient_and_what_is_would_gain_by_more(seed, tasks):
    """The conditions of Karush, Kuhn and Tucker, which a convex problem meets at its optimum and nowhere else."""
    of, prior, limits = law(seed, tasks, 5), np.full(tasks, 1 / tasks), np.full(tasks, 1.6 / tasks)
    found = best_ratio(of, prior, limits)
    parts = np.exp(found @ of.slopes.T) / of.losses(prior[None])[0] / 5
    gradient = parts @ of.slopes + 0.05 * (np.log(found / prior) + 1)
    limited = found > limits - 1e-6
    if not limited.all():
        np.testing.assert_allclose(gradient[~limited], gradient[~limited].mean(), atol=1e-4)
        assert (gradient[limited] <= gradient[~limited].mean() + 1e-4).all()


def test_a_task_that_helps_gets_more_and_one_that_harms_gets_less():
    slopes = np.tile([-1.0, 0.0, 0.0, 0.8], (3, 1))
    found = best_ratio(Law(np.full(3, 0.2), slopes), EVEN)
    assert found[0] > 0.9 > 0.05 > found[1] == pytest.approx(found[2], abs=1e-6)
    assert found[3] < found[1]
    weak = best_ratio(Law(np.full(3, 0.2), slopes), EVEN, strength=100.0)
    np.testing.assert_allclose(weak, EVEN, atol=0.01)


def test_where_ratios_change_nothing_the_prior_stays_and_a_task_without_share_gets_none():
    nothing = Law(np.array([0.5]), np.zeros((1, 4)))
    prior = np.array([0.5, 0.3, 0.2, 0.0])
    np.testing.assert_allclose(best_ratio(nothing, prior), prior, atol=1e-6)
    np.testing.assert_allclose(best_ratio(nothing, EVEN, np.array([0.1, 1, 1, 1])), [0.1, 0.3, 0.3, 0.3], atol=1e-6)


def test_dev_tasks_may_count_unlike():
    own = Law(np.full(2, 0.1), np.array([[-1.0, 0.0], [0.0, -1.0]]))
    np.testing.assert_allclose(best_ratio(own, np.full(2, 0.5)), 0.5, atol=1e-6)
    assert best_ratio(own, np.full(2, 0.5), weights=np.array([0.9, 0.1]))[0] > 0.8


@pytest.mark.parametrize("seed", range(3))
def test_the_ratio_of_a_fitted_law_gains_most_of_what_the_best_gains(seed):
    """From losses at 40 ratios with 1 % of noise, of 9 dev tasks: seven are each helped most by a task of their own."""
    random, even = np.random.default_rng(seed), np.full(7, 1 / 7)
    slopes = random.normal(-0.25, 0.2, (9, 7))
    slopes[range(7), range(7)] -= random.uniform(0.5, 1.5, 7)
    truth = Law(random.uniform(0.1, 0.6, 9), slopes)
    ratios = candidate_ratios(even, seed)
    found = best_ratio(fit_law(ratios, truth.losses(ratios) * np.exp(random.normal(0, 0.01, (40, 9))), seed), even)
    least, told, most = targets(truth, np.vstack([best_ratio(truth, even), found, even]), even)
    assert (most - told) / (most - least) > 0.98


def test_limits_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match=r"the limits sum to 0\.800"):
        best_ratio(law(1), EVEN, np.full(4, 0.2))


@given(st.lists(st.integers(10, 10_000), min_size=2, max_size=9), st.integers(100, 100_000))
def test_limits_hold_passes_or_are_the_smallest_that_leave_a_ratio(sizes, rows):
    sizes = np.array(sizes)
    limits, tasks = limits_of(sizes, rows), len(sizes)
    assert (limits >= 0).all() and (limits <= 1).all() and limits.sum() >= 1 - 1e-9
    passes = (0.5 / tasks + 0.5 * limits) * rows / sizes  # of a training that gives each task its limit
    free = (limits > 1e-12) & (limits < 1 - 1e-12)
    if limits.sum() > 1 + 1e-6:
        np.testing.assert_allclose(passes[free], 4)
    elif free.any():
        assert passes[free].min() == pytest.approx(passes[free].max()) and passes[free].min() >= 4 - 1e-6


def test_limits_by_hand():
    # 1,000 rows: each of two tasks gets 250 at least. Four passes over 100 rows are 400: 0.4 = 0.25 + 0.5 x 0.3.
    np.testing.assert_allclose(limits_of(np.array([100, 5000]), 1000), [0.3, 1.0])
