"""The law of mixing: made from a known law it is found again, and its parts are those of other computations."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from tdro.mixtures import mixinglaw
from tdro.mixtures.mixinglaw import Law, fit_law, ranking
from tdro.mixtures.ratios import candidate_ratios

#: Three dev tasks, two of which are helped most by their own; the third is harmed by the last training task.
KNOWN = Law(
    np.array([0.3, 0.5, 0.1]), np.array([[-1.5, -0.2, -0.1, -0.3], [-0.1, -1.2, -0.4, 0.0], [-0.2, -0.1, -0.5, 0.6]])
)
RATIOS = candidate_ratios(np.full(4, 0.25), seed=1)
FRESH = np.random.default_rng(9).dirichlet(np.ones(4), 200)


def noisy(sigma, seed=0):
    return KNOWN.losses(RATIOS) * np.exp(np.random.default_rng(seed).normal(0, sigma, (len(RATIOS), 3)))


def test_losses_by_hand():
    told = Law(np.array([0.5]), np.array([[np.log(2), 0.0]])).losses(np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]))
    np.testing.assert_allclose(told[:, 0], [2.5, 1.5, 0.5 + np.sqrt(2)])


def test_a_known_law_is_found_again():
    found = fit_law(RATIOS, KNOWN.losses(RATIOS))
    np.testing.assert_allclose(found.losses(FRESH), KNOWN.losses(FRESH), rtol=2e-3)
    np.testing.assert_allclose(found.slopes, KNOWN.slopes, atol=0.1)
    np.testing.assert_allclose(found.floors, KNOWN.floors, atol=0.05)


def test_noise_moves_it_little_and_one_odd_measurement_hardly():
    losses = noisy(0.005)
    before = fit_law(RATIOS, losses).losses(FRESH)
    np.testing.assert_allclose(before, KNOWN.losses(FRESH), rtol=0.03)
    losses[7] *= 3
    after = fit_law(RATIOS, losses).losses(FRESH)
    assert np.abs(np.log(after / before)).max() < 0.03
    np.testing.assert_array_equal(after, fit_law(RATIOS, losses).losses(FRESH))


def test_the_gradient_is_that_of_differences():
    random = np.random.default_rng(3)
    logs = np.log(noisy(0.1)[:, 0])
    for _ in range(5):
        at = random.normal(0, 0.5, 5)
        expected = approx_fprime(at, lambda x: mixinglaw._misfit(x, RATIOS, logs)[0], 1e-7)
        np.testing.assert_allclose(mixinglaw._misfit(at, RATIOS, logs)[1], expected, rtol=1e-3, atol=1e-4)


def test_few_measurements_get_a_ridge_that_leaves_one_out():
    """Against normal equations, with each measurement left out by hand."""
    few, logs = RATIOS[:11], np.log(noisy(0.05)[:11, 0])

    def solved(ratios, values, strength):
        middle, mean = ratios.mean(axis=0), values.mean()
        centred = ratios - middle
        slopes = np.linalg.solve(centred.T @ centred + strength * np.eye(4), centred.T @ (values - mean))
        return lambda ratio: mean + (ratio - middle) @ slopes

    def error(strength):
        kept = [np.arange(11) != out for out in range(11)]
        return np.mean([(solved(few[k], logs[k], strength)(few[~k][0]) - logs[~k][0]) ** 2 for k in kept])

    best = min(mixinglaw._RIDGES, key=error)
    found = fit_law(few, np.exp(logs)[:, None])
    assert found.floors == [0.0]
    np.testing.assert_allclose(np.log(found.losses(FRESH)[:, 0]), solved(few, logs, best)(FRESH), atol=0.02)


def test_left_out_ratios_are_ranked_where_there_is_a_law_and_not_where_there_is_none():
    losses = np.column_stack([noisy(0.005)[:, 0], np.random.default_rng(2).lognormal(0, 0.1, len(RATIOS))])
    lawful, lawless = ranking(RATIOS, losses)
    assert lawful > 0.95
    assert abs(lawless) < 0.5
    np.testing.assert_array_equal(ranking(RATIOS[:11], np.ones((11, 1))), [0.0])


def test_losses_that_have_no_logarithm_are_refused():
    with pytest.raises(ValueError, match="above 0"):
        fit_law(RATIOS, np.zeros((len(RATIOS), 1)))
