"""Which trainings soups are made of: no two replicates share one, and no training is asked for twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toyjobs import ROOT, jobs

from tdro.errors import UserError
from tdro.pipeline.checks import check
from tdro.pipeline.soups import Trained, weighed

SOUPS = {
    "both": {"of": ["uniform", "curr"]},
    "five": {"of": ["curr"], "seeds": 5},
    "half": {"of": ["top50"], "base": 0.5},
}


def test_a_soup_over_mixtures_is_of_its_seed_and_one_over_seeds_takes_those_behind():
    made = jobs(soups=SOUPS, seeds=[1, 3], mixtures=["uniform", "soup-both", "soup-five"]).soups
    assert made.made_of("soup-both", 3) == [Trained("uniform", 3), Trained("curr", 3)]
    assert [trained.seed for trained in made.made_of("soup-five", 1)] == [1, 4, 7, 10, 13]
    assert [trained.seed for trained in made.made_of("soup-five", 3)] == [3, 6, 9, 12, 15]
    asked = made.trainings()
    assert len(asked) == len(set(asked)) == 2 + 2 + 8  # uniform and curr of both seeds, four further seeds of curr each
    assert [made.weights_seed(seed) for seed in (1, 4, 13, 3, 6, 15, 99)] == [1, 1, 1, 3, 3, 3, 99]


@given(seeds=st.sets(st.integers(0, 60), min_size=1, max_size=6), number=st.integers(1, 7))
def test_replicates_share_no_model(seeds, number):
    soups = {"s": {"of": ["curr", "uniform"], "seeds": number}}
    made = jobs(soups=soups, seeds=sorted(seeds), mixtures=["uniform", "soup-s"]).soups
    replicates = [set(made.made_of("soup-s", seed)) for seed in seeds]
    assert len(set.union(*replicates)) == sum(map(len, replicates)) == 2 * number * len(seeds)
    for seed, replicate in zip(seeds, replicates, strict=True):
        assert {made.weights_seed(trained.seed) for trained in replicate} == {seed}


def test_weights_are_asked_for_of_what_is_named_or_averaged_and_tdro_runs_for_it():
    made = jobs(soups=SOUPS, mixtures=["uniform", "averaged-both"])
    assert weighed(made.config) == ["uniform", "averaged-both", "curr"]
    assert made.run_courses == ["tdro"]
    assert jobs(soups=SOUPS, mixtures=["uniform"]).run_courses == []


def test_the_share_of_the_trained_is_the_names_or_the_soups():
    made = jobs(soups=SOUPS, mixtures=["uniform", "soup-half", "soup-half@0.25", "soup-both"]).soups
    assert [made.share(name) for name in ("soup-half", "soup-half@0.25", "soup-both", "uniform")] == [
        0.5,
        0.25,
        None,
        None,
    ]
    assert made.options("soup-half@0.25") == "--method linear --share 0.25"
    assert made.options("soup-both") == "--method linear"


@pytest.mark.parametrize(
    ("mixture", "soup", "said"),
    [
        ("soup-a", {"of": ["curr"]}, "is of 'curr' alone"),
        ("averaged-a", {"of": ["curr"], "seeds": 3}, "is of 'curr' alone"),
        ("averaged-a", {"of": ["curr", "loss"]}, "'loss' scales the loss"),
        ("soup-a", {"of": ["curr", "curr"]}, "names 'curr' twice"),
        ("uniform", {"of": ["uniform", "soup-a"]}, "made of trainings on other mixtures"),
        ("soup-a", {"of": ["curr"], "seeds": 2**32}, "its last seed is above"),
        ("soup-a", {"of": ["curr"], "base": 1.0}, "less than 1"),
    ],
)
def test_what_cannot_be_averaged_is_refused(mixture, soup, said):
    with pytest.raises((UserError, ValueError), match=said):
        jobs(soups={"a": soup}, mixtures=list(dict.fromkeys(["uniform", mixture])))


def test_a_base_that_finds_nothing_before_training_is_refused():
    models = [{"name": "tiny", "base": "SOME/model", "pooling": "mean"}]
    made = jobs(soups=SOUPS, models=models, mixtures=["uniform", "soup-both", "soup-both@0.5"])
    with pytest.raises(UserError, match=r"'soup-both@0.5' averages with the base of model 'tiny', SOME/model"):
        check(made, ROOT)
