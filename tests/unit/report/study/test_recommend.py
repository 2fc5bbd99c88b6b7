"""Choices on dev scores with planted gains, against arithmetic by hand."""

import numpy as np
import polars as pl
import pytest
from devstudies import DEV, QUERIES, job, write
from ours import write_sealed

from tdro.artifacts.files import read_json
from tdro.errors import UserError
from tdro.evaluation.statistics import holm
from tdro.report.study.recommend import recommend

GAINS = {"curr": 0.02, "shuffled-1": 0.03, "top50": 0.0, "bottom50": -0.05}
MIXTURES = ["uniform", *GAINS]


def recommended(layout, settings, gains=GAINS):
    write(layout, settings, gains)
    said = recommend(settings, layout, layout.recommendation)
    return said, read_json(layout.recommendation)["models"]["tiny"]


def test_the_largest_gain_that_chance_did_not_draw_is_chosen(layout):
    said, found = recommended(layout, job(mixtures=MIXTURES, trainings={"curr": 3.1}))
    assert said.startswith("tiny: Train on curr: +0.0") and said.removeprefix("tiny: ") == found["sentence"]
    assert "(5 seeds, 230 queries), 3.1 trainings; " in said
    assert (found["recommended"], found["queries"]) == ("curr", sum(QUERIES.values()))
    verdicts = {m: one["reciprocal_rank"]["dev"].get("verdict") for m, one in found["mixtures"].items()}
    assert verdicts == {"uniform": None, "curr": "gain", "shuffled-1": "gain", "top50": "unclear", "bottom50": "loss"}


def test_nothing_is_recommended_where_nothing_was_planted(layout):
    said, found = recommended(layout, job(mixtures=MIXTURES), {})
    assert (
        said == ("tiny: Nothing is distinguishable from uniform on dev (5 seeds, 230 queries): train on uniform.")
        and found["recommended"] == "uniform"
    )


def test_every_name_under_dev_counts_the_same_and_holm_is_over_the_mixtures(layout):
    _, found = recommended(layout, job(mixtures=MIXTURES))

    def mean(mixture, dataset):
        frames = [pl.read_parquet(layout.dev_scores("tiny", seed, mixture)) for seed in range(1, 6)]
        return np.mean([f.filter(pl.col("dataset") == dataset)["reciprocal_rank"].mean() for f in frames])

    by_name = {name: np.mean([mean("curr", d) - mean("uniform", d) for d in names]) for name, names in DEV.items()}
    figures = found["mixtures"]["curr"]["reciprocal_rank"]
    assert {name: figures[name]["difference"] for name in DEV} == pytest.approx(by_name)
    assert figures["dev"]["difference"] == pytest.approx(np.mean(list(by_name.values())))
    # More is better of the loss, too: it was planted as 2 - rank.
    assert found["mixtures"]["curr"]["log_likelihood"]["dev"]["difference"] == pytest.approx(
        figures["dev"]["difference"]
    )
    on_dev = [found["mixtures"][m]["reciprocal_rank"]["dev"] for m in GAINS]
    assert [one["p_holm"] for one in on_dev] == pytest.approx(holm([one["p"] for one in on_dev]))


def test_one_more_mixture_that_does_nothing_costs_certainty(layout):
    few, many = (
        job(mixtures=["uniform", "curr"]),
        job(mixtures=["uniform", "curr", *(f"top{n}" for n in range(50, 90))]),
    )
    _, alone = recommended(layout, few, {"curr": 0.004})
    _, among = recommended(layout, many, {"curr": 0.004})
    p = [found["mixtures"]["curr"]["reciprocal_rank"]["dev"]["p_holm"] for found in (alone, among)]
    assert p[0] < p[1]


def test_scores_of_other_queries_are_refused(layout):
    settings = job(mixtures=["uniform", "curr"])
    write(layout, settings, {})
    path = layout.dev_scores("tiny", 3, "curr")
    left = pl.read_parquet(path).filter((pl.col("dataset") != "wiki") | (pl.col("query") > 0))
    write_sealed(path, left.to_arrow())
    with pytest.raises(UserError, match=r"seed3/curr/dev.parquet and the dev scores of .* queries of 'wiki'"):
        recommend(settings, layout, layout.recommendation)
