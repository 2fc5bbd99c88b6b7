"""Which trainings soups are made of: no two replicates share one, and no training is asked for twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toyjobs import ENTRY, ROOT, jobs

from tdro.artifacts.layout import Layout
from tdro.config import mixturenames
from tdro.config.commands import Curve
from tdro.errors import UserError
from tdro.pipeline.checks import check
from tdro.pipeline.soups import Trained, weighed

SOUPS = {
    "both": {"of": ["uniform", "curr"]},
    "five": {"of": ["curr"], "seeds": 5},
    "half": {"of": ["top50"], "base": 0.5},
}
#: A benchmark that nothing is reported of.
WIKI = {"wiki": ENTRY | {"source": {"reader": "jsonl", "path": "wiki.jsonl"}}}


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


def test_the_share_of_the_trained_is_the_names_or_the_soups_or_chosen():
    soups = SOUPS | {"best": {"of": ["curr"], "base": "dev", "shares": [1, 0.5], "method": "multislerp"}}
    names = ["uniform", "soup-half", "soup-half@0.25", "soup-both", "soup-best", "soup-best@0.1"]
    made = jobs(WIKI, soups=soups, mixtures=names, dev=["wiki"]).soups
    assert [made.shares(name) for name in names] == [[], [0.5], [0.25], [], [0.5, 1.0], [0.1]]
    assert [name for name in names if made.has_base(name)] == [names[1], names[2], *names[4:]]
    assert [name for name in names if made.is_chosen(name)] == ["soup-best"]
    assert made.options("soup-half@0.25") == "--method linear --share 0.25"
    assert made.options("soup-both") == "--method linear"
    assert made.options("soup-best") == "--method multislerp"


def test_a_share_can_be_chosen_only_where_there_are_dev_queries():
    soup = {"of": ["curr"], "base": "dev"}
    with pytest.raises(ValueError, match=r"soups\.a\.base: dev chooses a share on dev queries, and `dev` names none"):
        jobs(soups={"a": soup}, mixtures=["uniform", "soup-a"])
    assert jobs(soups={"a": soup}, mixtures=["uniform", "soup-a@0.5"]).measured_soups == []
    with_dev = jobs(WIKI, soups={"a": soup}, mixtures=["uniform", "soup-a"], dev=["wiki"])
    assert with_dev.measured_soups == ["soup-a"]
    asked = with_dev.soup_scores("soup-a", Layout("r"))
    assert asked.shares == [0.25, 0.5, 0.75, 1]
    assert list(asked.datasets) == ["wiki"]


def test_two_names_of_one_soup_are_told():
    def told(base, *names):
        made = jobs(soups={"a": {"of": ["uniform"], "base": base}}, mixtures=["uniform", *names])
        return list(mixturenames.remarks(made.config.mixtures, 3, made.soups.fixed))

    (line,) = told(0.5, "soup-a@0.25", "soup-a", "soup-a@0.5")
    assert line.startswith("mixtures soup-a and soup-a@0.5 are the same")
    assert told(0.5, "soup-a", "soup-a@0.25") == told(None, "soup-a@0.25", "soup-a@0.5") == []


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
        ("soup-a", {"of": ["curr"], "base": 0.5, "shares": [0.2, 0.4]}, "shares are what `base: dev` chooses among"),
        ("soup-a", {"of": ["curr"], "base": "dev", "shares": [0.2, 0.2]}, "shares names one twice"),
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


def test_curves_are_of_soups_with_several_shares_and_end_at_the_training_that_a_soup_is_of():
    soups = {"one": {"of": ["curr"], "base": "dev"}, "two": {"of": ["curr", "uniform"]}}
    soups["five"] = {"of": ["curr"], "seeds": 5}
    ends = [f"soup-{name}@0.{n}" for name in soups for n in (2, 4)]
    names = ["uniform", "curr", "soup-one", *ends, "soup-two"]
    found = jobs(WIKI, soups=soups, mixtures=names, dev=["wiki"]).report()
    assert found.measured_soups == [name for name in names if name.startswith("soup")]
    shares = {"soup-one": None, "soup-one@0.2": 0.2, "soup-one@0.4": 0.4}
    assert found.curves["one"] == Curve(shares=shares, whole="curr")
    assert found.curves["two"] == Curve(shares={"soup-two@0.2": 0.2, "soup-two@0.4": 0.4})
    assert found.curves["five"].whole is None
    without = jobs(soups={"one": {"of": ["curr"]}}, mixtures=["uniform", "soup-one@0.2", "soup-one@0.4"]).report()
    assert without.curves["one"].whole is None  # trained for the soup alone, so not among what is evaluated
    assert without.measured_soups == []
    assert jobs(soups=soups, mixtures=["uniform", "soup-one@0.2"]).report().curves == {}
