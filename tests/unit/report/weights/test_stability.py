import re

import numpy as np
import polars as pl
import pytest
import scipy.stats
from finished import content
from hypothesis import given
from hypothesis import strategies as st

from tdro.mixtures.weights import Weights
from tdro.report.weights.stability import of_courses, repetitions

TASKS = ["a", "b", "c", "d"]


def course(last, steps=50, still_until=None, effective=None):
    """From equal weights to ``last`` in equal moves, and no further after ``still_until`` steps; four rows a task."""
    last = np.array(last) / sum(last)
    shares = np.minimum(np.linspace(0, 1, steps) * (steps / still_until if still_until else 1), 1)[:, None]
    weights = (1 - shares) / len(last) + shares * last
    rows = [4] * weights.size
    return pl.DataFrame(
        {
            "step": np.repeat(np.arange(steps), len(last)),
            "task": TASKS[: len(last)] * steps,
            "weight": weights.ravel(),
            "rows": rows,
            "effective_rows": rows if effective is None else effective * steps,
        }
    ).sample(fraction=1, shuffle=True, seed=0)


def test_a_course_that_still_moves_at_the_end_has_not_settled():
    (moving,) = of_courses({7: course([4, 2, 1, 1])})
    (still,) = of_courses({7: course([4, 2, 1, 1], still_until=25)})
    assert moving.startswith("Seed 7: in the last 5 of 50 steps")
    assert "had not settled" in moving
    assert "They had settled." in still
    assert "total variation of 0.0000" in still
    assert "against 0.2500 since" in still  # from (1/4, ...) to (1/2, 1/4, 1/8, 1/8)


def test_too_short_a_course_is_not_judged():
    assert of_courses({1: course([2, 1], steps=9)}) == []
    assert of_courses({}) == []


@given(st.lists(st.permutations([1.0, 2.0, 3.0, 4.0]), min_size=2, max_size=4))
def test_rank_correlation_is_scipys(lasts):
    sentence = of_courses({seed: course(last, steps=5) for seed, last in enumerate(lasts)})[-1]
    pairs = [scipy.stats.spearmanr(a, b).statistic for i, a in enumerate(lasts) for b in lasts[i + 1 :]]
    shown = re.search(r"between seeds: (-?[\d.]+) on average", sentence)[1]
    assert shown != "-0.00"
    assert float(shown) == pytest.approx(np.mean(pairs), abs=0.0051)
    assert ("not stable" in sentence) == (round(np.mean(pairs), 6) < 0.7)


def test_seeds_that_weigh_all_alike_have_no_order_to_agree_on():
    assert "not stable" in of_courses({1: course([1, 1, 1]), 2: course([1, 1, 1])})[-1]


def test_tasks_that_few_rows_decide_are_named():
    (*_, sentence) = of_courses({1: course([1, 1, 1], steps=5, effective=[4.0, 1.5, 2.0])})
    assert "carried by few of their rows" in sentence
    assert "b (1.5 of 4.0)." in sentence
    assert of_courses({1: course([1, 1, 1], steps=5)}) == []


@pytest.mark.parametrize(("limit", "named"), [(3, ["b", "a"]), (7, ["b"]), (9, [])])
def test_datasets_gone_over_too_often_are_named(limit, named):
    settings = content(seeds=[1, 2], mixtures=["uniform"], training_rows=100, report={"max_passes": limit})
    # Of 100 rows a gets 50 in the first seed, 5 passes over its 10; b 40 in the second, 8 passes over its 5.
    seeds = [Weights({"a": 0.5, "c": 0.5}, {"a": 10, "c": 1000}), Weights({"b": 0.4, "c": 0.6}, {"b": 5, "c": 1000})]
    sentences = repetitions(settings, {"uniform": seeds})
    assert len(sentences) == bool(named)
    assert [name for name in ("b", "a") if sentences and f"{name} (" in sentences[0]] == named
