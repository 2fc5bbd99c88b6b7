"""A learnt mixture beside the same weights on other tasks, tasks by chance, and a longer training."""

import re

import numpy as np
import pytest
from finished import Finished, content

from tdro.report.scores import controls, queries, rows
from tdro.report.scores.controls import Control
from tdro.report.scores.queries import ALL_SEEDS

MIXTURES = ["uniform", "curr", "top50", "random50-1", "shuffled-1", "longer", "shuffled-2"]
#: The three benchmarks that no task is of count alike; so do the three tasks within the fourth.
OUTSIDE = ["nfcorpus", "scifact"]


def test_each_mixture_is_compared_with_what_it_has_to_beat():
    assert controls.controls(MIXTURES) == [
        Control("curr", ("shuffled-1", "shuffled-2")),
        Control("top50", ("random50-1",)),
        Control("curr", ("longer",)),
        Control("top50", ("longer",)),
    ]
    variants = ["uniform", "curr", "curr@ratio-0.1", "shuffled-1@ratio-0.1", "shuffled-7@ratio-0.2", "random70-1"]
    assert controls.controls(variants) == [Control("curr@ratio-0.1", ("shuffled-1@ratio-0.1",))]
    assert controls.controls(["uniform", "curr", "top70"]) == []


@pytest.fixture(scope="module")
def controlled(tmp_path_factory):
    shift = {"curr": 0.1, "top50": 0.05, "random50-1": 0.05, "shuffled-1": 0.02, "shuffled-2": -0.02, "longer": 0.2}
    return Finished(tmp_path_factory.mktemp("controls"), content(seeds=[1, 2, 3], mixtures=MIXTURES), shift=shift)


def test_controls_are_pooled_by_query_and_compared_in_pairs(controlled):
    read = queries.read(controlled.settings, controlled.layout)
    found = controls.collect(controlled.settings, read, rows.collect(controlled.settings, read))
    (one,) = [f for f in found if f.control.pooled[0] == "shuffled-1" and f.heading == "out of domain"]

    def mean(mixture, seed):
        return np.mean([controlled.scores["tiny", seed, mixture, dataset][:, 0].mean() for dataset in OUTSIDE])

    by_seed = [mean("curr", s) - (mean("shuffled-1", s) + mean("shuffled-2", s)) / 2 for s in (1, 2, 3)]
    assert one.judged.difference.mean == pytest.approx(np.mean(by_seed))
    assert one.gain.mean == pytest.approx(np.mean([mean("curr", s) - mean("uniform", s) for s in (1, 2, 3)]))
    assert one.gain.mean - one.pooled.mean == pytest.approx(one.judged.difference.mean)
    # Four comparisons on two averages are one family.
    assert {f.judged.comparisons for f in found} == {8}
    assert all(f.judged.holm >= f.judged.difference.p for f in found)


def test_verdicts_are_those_of_what_was_planted_and_stand_first(controlled):
    report = controlled.report()
    assert report.text.index("Whether learning the weights paid") < report.text.index("curr against uniform, tiny")
    first = report.text[report.text.index("Whether learning the weights paid") :]
    said = re.findall(r"(In|Out of) domain, against uniform: (.*?): ([^.]*)\.", first)
    assert [(where, words.split()[0], meaning) for where, words, meaning in said if where == "Out of"] == [
        ("Out of", "curr", "which task gets which weight mattered"),
        ("Out of", "top50", "that it matters which tasks are kept cannot be told"),
        ("Out of", "curr", "training longer would have paid more than learning the weights"),
        ("Out of", "top50", "training longer would have paid more than learning the weights"),
    ]
    assert "the same weights given to other tasks (2 draws pooled) " in first
    assert re.search(r"\| curr against shuffled-1 and shuffled-2\s+\| \+0\.\d+ \[.*?\] \*", report.summary)


def test_pooling_one_mixture_changes_nothing(controlled):
    runs = queries.read(controlled.settings, controlled.layout)["tiny", "curr"].whole
    pooled = controls.pool([runs])
    assert set(pooled) == {ALL_SEEDS, 1, 2, 3}
    for seed, scored in runs.items():
        for pair, scores in scored.items():
            np.testing.assert_allclose(pooled[seed][pair].values, scores.values, rtol=1e-12)


def test_nothing_is_said_where_no_control_was_run(built):
    assert "Whether learning the weights paid" not in built.text and "against controls" not in built.summary
