"""Mixtures that keep one task, and those that are equal, are told by their names."""

import re

import pytest

from tdro.config.mixturenames import NAMES, SOUPS, TRAINED, Mixture, parse, remarks, written
from tdro.errors import UserError


@pytest.mark.parametrize(
    ("name", "mixture"),
    [
        ("bag80-12", Mixture("bag", 80, "12")),
        ("averaged-a_1", Mixture("averaged", name="a_1")),
        ("soup-a_1", Mixture("soup", name="a_1")),
        ("soup-a@0.25", Mixture("soup", name="a", share=0.25)),
        ("curr@ratio-0.05", Mixture("curr", variant="ratio-0.05")),
        ("file-old", Mixture("file", name="old")),
    ],
)
def test_names_are_taken_apart_and_are_of_a_training_or_of_an_average(name, mixture):
    assert parse(name) == mixture
    assert written(mixture) == name
    assert bool(re.fullmatch(SOUPS, name)) == (mixture.kind == "soup") != bool(re.fullmatch(TRAINED, name))


@pytest.mark.parametrize("name", ["soup-a@0.50", "soup-a@1", "soup-a@0", "soup-", "bag80", "bag0-1", "bag101-1"])
def test_a_name_has_one_way_to_be_written(name):
    assert not re.fullmatch(NAMES, name)
    with pytest.raises(UserError, match="unknown mixture"):
        parse(name)


@pytest.mark.parametrize(
    ("names", "tasks", "said"),
    [
        (["uniform", "top70"], 2, ["mixture top70 keeps 1 of 2 tasks"]),
        (["uniform", "bottom30"], 4, ["mixture bottom30 keeps 1 of 4 tasks", "bottom50 keeps two"]),
        (["uniform", "top100"], 5, ["mixtures uniform and top100 are the same"]),
        (["uniform", "top70", "top99"], 3, ["mixtures top70 and top99 are the same for 3 tasks"]),
        (["uniform", "temperature1", "proportional"], 3, ["mixtures temperature1 and proportional are the same"]),
        (["uniform", "unimax2", "unimax2.0"], 3, ["mixtures unimax2 and unimax2.0 are the same"]),
        (
            ["uniform", "top50", "random50-1"],
            2,
            ["mixture top50 keeps 1 of 2 tasks", "mixture random50-1 keeps 1 of 2"],
        ),
        (["uniform", "top70", "random70-1", "random99-1"], 3, ["mixtures random70-1 and random99-1 are the same"]),
        (["uniform", "curr", "shuffled-1@ratio-0.1"], 3, ["shuffled-1@ratio-0.1 is a control of curr@ratio-0.1"]),
        (["uniform", "top50", "random70-1"], 4, ["random70-1 is a control of top70, which is not among the mixtures"]),
    ],
)
def test_mixtures_of_one_task_and_equal_ones_are_told(names, tasks, said):
    lines = "\n".join(remarks(names, tasks, {}))
    assert all(words in lines for words in said)


def test_mixtures_that_differ_are_not_remarked_on():
    names = ["uniform", "proportional", "temperature2", "temperature3", "unimax2", "curr", "mean", "ema", "loss"]
    names += ["doremi", "top50", "top75", "bottom50", "curr@ratio-0.1", "top50@ratio-0.1", "file-a", "file-b"]
    names += ["shuffled-1", "shuffled-2", "shuffled-1@ratio-0.1", "random50-0", "random50-1", "longer"]
    assert list(remarks(names, 4, {})) == []


@pytest.mark.parametrize(
    "name", ["shuffled-12@ratio-0.05", "random70-2", "top70", "temperature0.5", "file-a", "longer"]
)
def test_a_name_that_was_taken_apart_is_written_as_it_was(name):
    assert written(parse(name)) == name


def test_a_control_is_of_the_mixture_with_its_number_and_variant():
    assert written(parse("shuffled-3@ratio-0.1").controlled) == "curr@ratio-0.1"
    assert written(parse("random70-2").controlled) == "top70"
    assert parse("top70").controlled is None and parse("longer").controlled is None
    assert parse("shuffled-3").learnt and not parse("random70-2").learnt  # of tDRO; of the number of tasks


@pytest.mark.parametrize(
    ("name", "meant"), [("shufled-2", "shuffled-2"), ("random-70", "random70-1"), ("tpo70", "top70")]
)
def test_the_name_that_was_meant_is_told(name, meant):
    with pytest.raises(UserError, match=f"did you mean '{meant}'"):
        parse(name)
