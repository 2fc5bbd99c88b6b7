import re

import pytest
from finished import BENCHMARKS, Finished, content


def test_reading_names_gains_losses_and_the_single_seed(built):
    assert "One training seed (1): the intervals cover the choice of queries only" in built.text
    assert "seeds: [42, 43, 44]" in built.text
    assert re.search(r"gain on 2 of 2 benchmarks: (nfcorpus|scifact) \(\+0\.\d+\) and", built.text)
    assert "loss on 3 of 3 in-domain tasks" in built.text


@pytest.mark.parametrize(
    ("benchmarks", "step", "sentence"),
    [
        (BENCHMARKS, 1, "On every query the same scores as uniform."),
        # Other scores of the same mean.
        (BENCHMARKS, -1, "On none of 2 benchmarks is the difference distinguishable from zero."),
        ({"scifact": ["scifact"]}, -1, "On scifact the difference is not distinguishable from zero."),
    ],
)
def test_no_difference_is_claimed_where_there_is_none(tmp_path, benchmarks, step, sentence):
    tree = Finished(tmp_path, content(mixtures=["uniform", "curr"], benchmarks=benchmarks))
    for benchmark, datasets in benchmarks.items():
        same = {d: tree.scores["tiny", 1, "uniform", d][::step] for d in datasets}
        tree.evaluation("tiny", 1, "curr", benchmark, same)
    report = tree.report()
    assert sentence in report.text
    assert ("the same scores" in report.text) == (step == 1)
    assert ({(row["low"], row["high"]) for row in report.of(mixture="curr")} == {("0.0", "0.0")}) == (step == 1)
    assert "a distinguishable gain" not in report.text and "a distinguishable loss" not in report.text
    assert " *" not in report.summary.replace("* marks", "")


@pytest.mark.parametrize(("samples", "warned"), [(150, True), (160, False)])
def test_too_few_resamples_for_the_number_of_comparisons_are_pointed_out(tmp_path, samples, warned):
    text = Finished(tmp_path, content(report={"bootstrap_samples": samples})).report().text
    assert (f"With {samples} resamples no p can be small enough to call one of 8 comparisons" in text) == warned
    assert ("Set report.bootstrap_samples to 160 at least." in text) == warned


def test_few_queries_are_named(tmp_path):
    text = Finished(tmp_path, queries=12).report().text
    assert "Fewer than 60 queries" in text and "scifact (12)" in text
