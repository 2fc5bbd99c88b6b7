"""Mixtures that keep one task, and those that are equal, are told by their names."""

import pytest

from tdro.config.mixturenames import remarks


@pytest.mark.parametrize(
    ("names", "tasks", "said"),
    [
        (["uniform", "top70"], 2, ["mixture top70 keeps 1 of 2 tasks"]),
        (["uniform", "bottom30"], 4, ["mixture bottom30 keeps 1 of 4 tasks", "bottom50 keeps two"]),
        (["uniform", "top100"], 5, ["mixtures uniform and top100 are the same"]),
        (["uniform", "top70", "top99"], 3, ["mixtures top70 and top99 are the same for 3 tasks"]),
        (["uniform", "temperature1", "proportional"], 3, ["mixtures temperature1 and proportional are the same"]),
        (["uniform", "unimax2", "unimax2.0"], 3, ["mixtures unimax2 and unimax2.0 are the same"]),
    ],
)
def test_mixtures_of_one_task_and_equal_ones_are_told(names, tasks, said):
    (line,) = remarks(names, tasks)
    assert all(words in line for words in said)


def test_mixtures_that_differ_are_not_remarked_on():
    names = ["uniform", "proportional", "temperature2", "temperature3", "unimax2", "curr", "mean", "ema", "loss"]
    names += ["doremi", "top50", "top75", "bottom50", "curr@ratio-0.1", "top50@ratio-0.1", "file-a", "file-b"]
    assert list(remarks(names, 4)) == []
