"""Which mixtures weights of experts stand for, and which are tried."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdro.mixtures.ratios import candidate_ratios, expert_mixtures, mixture_of, ratio_of


def test_experts_of_four_tasks_by_hand():
    expected = np.full((4, 4), 0.125) + 0.5 * np.eye(4)
    np.testing.assert_allclose(expert_mixtures(4), expected)
    np.testing.assert_allclose(mixture_of(np.full(4, 0.25)), 0.25)
    np.testing.assert_allclose(ratio_of(np.array([0.625, 0.125, 0.125, 0.125])), [1, 0, 0, 0], atol=1e-12)
    assert ratio_of(np.array([0.65, 0.15, 0.1, 0.1])) is None


@given(st.integers(2, 12), st.floats(0.1, 1), st.integers(0, 99))
def test_a_ratio_is_told_from_its_mixture(tasks, rho, seed):
    ratio = np.random.default_rng(seed).dirichlet(np.full(tasks, 0.3))
    mixture = mixture_of(ratio, rho)
    assert mixture.sum() == pytest.approx(1) and mixture.min() >= (1 - rho) / tasks - 1e-12
    np.testing.assert_allclose(ratio_of(mixture, rho), ratio, atol=1e-8)


@given(st.integers(2, 15), st.integers(0, 99))
def test_candidates_hold_uniform_the_corners_and_what_is_known(tasks, seed):
    inside, outside = np.full(tasks, 0.9 / tasks), np.zeros(tasks)
    inside[0] += 0.1
    outside[0] = 1.0
    prior = np.full(tasks, 1 / tasks)
    found = candidate_ratios(prior, seed, [inside, outside])
    assert found.shape == (max(40, 4 * tasks), tasks)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found.min() >= 0
    np.testing.assert_allclose(found[0], prior)
    np.testing.assert_allclose(found[1 : tasks + 1], np.eye(tasks))
    np.testing.assert_allclose(mixture_of(found[tasks + 1]), inside)
    np.testing.assert_array_equal(found, candidate_ratios(prior, seed, [inside, outside]))


def test_draws_scatter_around_the_prior_and_come_from_corners_to_the_middle():
    prior = np.array([0.6, 0.3, 0.1])
    drawn = np.vstack([candidate_ratios(prior, seed)[4:] for seed in range(50)])
    np.testing.assert_allclose(drawn.mean(axis=0), prior, atol=0.03)
    rounds = drawn.reshape(50, -1, 3)
    assert rounds[:, 0].max(axis=1).mean() > rounds[:, -1].max(axis=1).mean() + 0.1
