"""What the page says before anything else."""

import numpy as np
import pytest
from finished import BENCHMARKS, Finished, content

from tdro.report.scores import answer, controls, gains, queries

COSTS = {"uniform": 1, "curr": 2.6, "top50": 3.1}
OUTSIDE = {name: members for name, members in BENCHMARKS.items() if name != "in_domain"}


def answered(tree):
    settings, layout, results = tree.settings, tree.layout, tree.results()
    retrievers = queries.read(settings, layout)
    gained, controlled = gains.collect(settings, retrievers), controls.collect(settings, retrievers, results)
    return answer.answers(settings, layout, results, gained, controlled)


def shifted(tree, mixture, benchmarks, by):
    """Gives a mixture another gain on some benchmarks."""
    for benchmark, datasets in benchmarks.items():
        base = {d: tree.scores["tiny", 1, "uniform", d] for d in datasets}
        noise = {d: tree.random.normal(0, 0.05, values.shape) for d, values in base.items()}
        tree.evaluation("tiny", 1, mixture, benchmark, {d: np.clip(base[d] + by + noise[d], 0, 1) for d in datasets})


def test_the_best_mixture_is_named_with_place_interval_and_cost(tmp_path):
    tree = Finished(tmp_path, content(trainings=COSTS), shift={"curr": 0.05, "top50": 0.1})
    (one,) = answered(tree)
    row = tree.results().find("tiny", "top50", "out_of_domain")
    assert one.mixture == "top50"
    assert one.sentence.startswith(
        f"top50 is better than uniform out of domain by {row.difference.mean:+.3f} nDCG@10 ["
    )
    assert " and in domain by +" in one.sentence
    assert ", for 3.1 trainings in place of 1: train on top50. One seed: " in one.sentence
    assert dict(one.facts)["At what cost"].startswith("3.1 trainings")
    assert "Of 2 benchmarks 2 gain (nfcorpus and scifact)" in dict(one.facts)["Where"]


def test_a_gain_that_is_paid_for_elsewhere_is_not_simply_advised(tmp_path):
    tree = Finished(tmp_path, content(mixtures=["uniform", "curr"]), shift={"curr": 0.1})
    shifted(tree, "curr", {"in_domain": BENCHMARKS["in_domain"]}, -0.1)
    (one,) = answered(tree)
    assert one.mixture == "curr"
    assert "better than uniform out of domain" in one.sentence and "and worse in domain by -" in one.sentence
    assert "train on curr only where the first counts more. One seed: " in one.sentence


def test_a_mixture_without_a_loss_goes_before_a_larger_gain_with_one(tmp_path):
    tree = Finished(tmp_path, shift={"curr": 0.2, "top50": 0.1})
    shifted(tree, "curr", {"in_domain": BENCHMARKS["in_domain"]}, -0.2)
    assert answered(tree)[0].mixture == "top50"


def test_a_gain_in_domain_counts_where_nothing_is_told_outside(tmp_path):
    tree = Finished(tmp_path, content(mixtures=["uniform", "curr"]), shift={"curr": 0.1})
    shifted(tree, "curr", OUTSIDE, 0)
    (one,) = answered(tree)
    assert one.sentence.startswith("curr is better than uniform in domain by +") and "out of domain" not in one.sentence


@pytest.mark.parametrize(
    ("shift", "sentence"),
    [
        ({}, "No mixture can be told from uniform: train on uniform."),
        ({"top50": -0.1}, "No mixture is better than uniform for certain, and top50 is worse: train on uniform."),
    ],
)
def test_without_a_gain_the_baseline_is_to_be_trained_on(tmp_path, shift, sentence):
    (one,) = answered(Finished(tmp_path, shift=shift))
    assert (one.mixture, one.sentence) == ("uniform", sentence)
    assert "The best of the others out of domain is " in dict(one.facts)["Where"]


def test_weights_drawn_by_chance_are_no_advice(tmp_path):
    settings = content(mixtures=["uniform", "curr", "shuffled-1"])
    (one,) = answered(Finished(tmp_path, settings, shift={"shuffled-1": 0.1}))
    assert one.mixture == "uniform"
    assert one.sentence.startswith("Only weights drawn by chance (shuffled-1) are better than uniform")


def test_controls_of_what_is_chosen_are_told(tmp_path):
    settings = content(mixtures=["uniform", "curr", "shuffled-1"])
    (one,) = answered(Finished(tmp_path, settings, shift={"curr": 0.2, "shuffled-1": 0.1}))
    assert "against shuffled-1: which task gets which weight mattered." in dict(one.facts)["Was it the weights"]


def test_a_score_stands_beside_those_of_the_untrained(tmp_path):
    tree = Finished(tmp_path, content(untrained=["bm25"]))
    tree.untrained("bm25", 0.25)
    said = dict(answered(tree)[0].facts)["Are these scores good"]
    score = tree.results().find("tiny", "uniform", "out_of_domain").score
    assert f"Out of domain uniform has {score:.3f} nDCG@10; untrained: bm25 0.250." in said


def test_without_untrained_retrievers_the_page_says_how_to_get_them(built):
    assert "evaluation.untrained adds them: bm25, miner, base." in built.text


def test_what_to_take_is_named_from_the_projects_folder(tmp_path):
    tree = Finished(tmp_path, content(seeds=[1, 2, 3], models=["tiny", "large"]), shift={"curr": 0.1})
    found = answered(tree)
    assert [one.model_folder for one in found] == ["results/tiny/seed1/curr/model", "results/large/seed1/curr/model"]
    assert {one.weights for one in found} == {"results/tiny/seed1/weights/curr.json"}
    assert not any("One seed" in one.sentence for one in found)
    report = tree.report()
    assert "results/packages/large.seed1.curr.tar.gz packs both" in report.text
    assert "do not choose one by its scores here" in report.text


def test_the_page_begins_with_the_answer_and_a_figure(tree, built):
    (one,) = answered(tree)
    assert built.text.startswith(f"tDRO report tDRO report {one.sentence}")
    assert built.html.index("<svg") < built.html.index("<h2>What was run</h2>") < built.html.index("<table")


def test_baseline_alone_has_nothing_to_compare(tmp_path):
    (one,) = answered(Finished(tmp_path, content(mixtures=["uniform"], courses=[])))
    assert one.sentence == "Only uniform was trained, so there is nothing to compare."
    assert [question for question, _ in one.facts] == ["Are these scores good"]
