"""The formula against the test that it speaks of, on normal differences; benchmarks/level.py has whole reports."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from tdro.evaluation.power import Design, Spread, least_gain, power
from tdro.evaluation.statistics import combine, resample


def test_of_one_seed_it_is_the_formula_of_textbooks():
    """A paired z test finds (z of the level + z of the power) standard errors."""
    design = Design(400, 1, comparisons=4, spread=Spread(query=0.3, training=9.0, both=0.4))
    assert least_gain(design) == pytest.approx((norm.isf(0.05 / 8) + norm.isf(0.2)) * 0.5 / 20, rel=1e-3)


def test_without_a_gain_it_is_half_the_level_at_most():
    """Half of all false verdicts are gains."""
    for seeds in (1, 2, 5, 50):
        assert power(0.0, Design(300, seeds)) <= 0.0251


def test_more_queries_and_seeds_find_less_and_more_comparisons_need_more():
    base = Design(300, 5, 12)
    for better in ({"queries": 1000}, {"seeds": 12}, {"comparisons": 1}, {"confidence": 0.9}):
        assert least_gain(replace(base, **better)) < least_gain(base)


@pytest.mark.parametrize("seeds", [1, 3, 5, 12])
def test_it_is_found_as_often_as_it_says(seeds):
    design, trials = Design(60, seeds, confidence=0.9, spread=Spread(0.2, 0.02, 0.3)), 300
    random, found, gain = np.random.default_rng(seeds), 0, least_gain(design)
    spread = design.spread
    for trial in range(trials):
        values = gain + random.normal(0, spread.query, 60) + random.normal(0, spread.both, (seeds, 60))
        if seeds > 1:
            values += random.normal(0, spread.training, (seeds, 1))
        part = resample(values.mean(axis=0)[:, None], samples=300, seed=trial)
        means = values.mean(axis=1)[:, None] if seeds > 1 else None
        found += combine([(1.0, part)], confidence=0.9, seeds=means)[0].p < 0.1
    assert abs(found / trials - 0.8) < 4 * np.sqrt(0.8 * 0.2 / trials)
