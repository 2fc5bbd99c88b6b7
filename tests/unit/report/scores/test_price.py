"""The figure of gains against costs."""

import re

from finished import Finished, content

from tdro.report.scores import price

COSTS = {"uniform": 1, "curr": 3.11, "top50": 3.11}


def test_gains_stand_over_costs_with_their_intervals(tmp_path):
    tree = Finished(tmp_path, content(trainings=COSTS), shift={"curr": 0.1, "top50": -0.1})
    drawn = str(price.price(tree.settings, tree.results(), "tiny"))
    assert {"uniform", "curr", "top50", "1", "3.11", "difference to uniform, out of domain"} <= set(
        re.findall(r">([^<>\n]+)</text>", drawn)
    )
    page = tree.report()
    assert drawn in page.html
    assert re.search(r"mixture trainings in domain .* uniform baseline 1 0\.\d+ .* curr 3\.1 0\.\d+ ▲", page.text)


def test_without_costs_there_is_neither_column_nor_figure(tree, built):
    assert not tree.settings.trainings
    assert "trainings" not in built.text and "what has to be trained" not in built.text


def test_labels_of_costs_do_not_touch():
    assert price._apart([1, 1.1, 1.2, 3.1, 3.11, 4]) == [1, 1.2, 3.1, 4]
