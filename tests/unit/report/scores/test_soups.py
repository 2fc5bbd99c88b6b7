"""What a report tells of averages, of a run with made scores whose points are known."""

import re
from pathlib import Path

import numpy as np
import pytest
from finished import Finished, content

from tdro.artifacts.files import write_json
from tdro.config.commands import Curve
from tdro.errors import UserError
from tdro.report.scores import soups

MIXTURES = ["uniform", "soup-half", "soup-half@0.25", "soup-half@0.75", "soup-all"]
CURVE = Curve(shares={"soup-half": None, "soup-half@0.25": 0.25, "soup-half@0.75": 0.75}, whole="uniform")
#: In-domain and out-of-domain score of every query.
SCORES = {"uniform": (0.9, 0.5), "soup-half": (0.8, 0.7), "soup-half@0.25": (0.6, 0.65), "soup-half@0.75": (0.8, 0.7)}


def measured(chosen=0.75, loss=0.5):
    """A soup.json whose ingredients have the losses 1 and 2."""
    ingredients = {"uniform": {"loss": 1.0, "reciprocal_rank": 0.6}, "base": {"loss": 2.0, "reciprocal_rank": 0.4}}
    shares = [{"share": share, "loss": loss, "reciprocal_rank": rank} for share, rank in ((0.25, 0.5), (0.75, 0.625))]
    if chosen is None:
        shares = [{"share": None, "loss": loss, "reciprocal_rank": 0.625}]
    return {"datasets": ["news"], "ingredients": ingredients, "soups": shares, "chosen": chosen}


def made(folder, seeds=(1,), choices=(0.75,), **changes):
    values = {"mixtures": MIXTURES, "seeds": list(seeds), "courses": [], "untrained": ["base-tiny"]}
    values |= {"curves": {"half": CURVE}, "measured_soups": ["soup-half", "soup-all"]}
    tree = Finished(folder, content(**(values | changes)))
    for seed, choice in zip(seeds, choices, strict=True):
        for mixture, (inside, outside) in SCORES.items():
            for benchmark, datasets in tree.settings.benchmarks.items():
                score = inside if benchmark == "in_domain" else outside
                tree.evaluation("tiny", seed, mixture, benchmark, {d: np.full((60, 3), score) for d in datasets})
        write_json(tree.layout.soup_scores("tiny", seed, "soup-half"), measured(choice))
        write_json(tree.layout.soup_scores("tiny", seed, "soup-all"), measured(None, loss=2.5))
    inside, outside = (np.full((60, 3), score) for score in (0.5, 0.6))
    tree.untrained(
        "base-tiny", {d: inside if d in tree.settings.benchmarks["in_domain"] else outside for d in tree.datasets}
    )
    return tree


def test_points_lead_from_the_base_to_what_was_trained(tmp_path):
    tree = made(tmp_path)
    found = soups.curves(tree.settings, tree.results(), soups.collect(tree.settings, tree.layout))
    (points,) = found.values()
    assert list(found) == ["soup-half, tiny"]
    assert [point.label for point in points] == ["base", "0.25", "0.75, chosen", "uniform"]
    expected = [(0.5, 0.6), (0.6, 0.65), (0.8, 0.7), (0.9, 0.5)]
    assert [(point.inside, point.outside) for point in points] == [pytest.approx(pair) for pair in expected]
    assert [point.label for point in points if point.chosen] == ["0.75, chosen"]


def test_choices_of_several_seeds_are_one_point(tmp_path):
    tree = made(tmp_path, seeds=(1, 2), choices=(0.25, 0.75))
    found = soups.curves(tree.settings, tree.results(), soups.collect(tree.settings, tree.layout))
    assert [point.label for point in found["soup-half, tiny"]] == [
        "base",
        "0.25",
        "0.25 or 0.75, chosen",
        "0.75",
        "uniform",
    ]


def test_the_page_tells_choice_scores_and_points_and_warns_of_a_soup_between_basins(tmp_path):
    page = made(tmp_path).report()
    assert (
        "soup-all of tiny, seed 1: its dev loss 2.500 is above that of its worst ingredient, base (2.000)" in page.text
    )
    assert "soup-half of tiny, seed 1: its dev loss" not in page.text
    assert "0.75 (mean reciprocal rank 0.625; uniform 0.600, base 0.400)" in page.text
    assert re.search(r"soup, share 0\.25 0\.500 0\.500 soup, share 0\.75, chosen 0\.500 0\.625", page.text)
    assert re.search(r"soup-half, tiny base 0\.500 0\.600 0\.25 0\.600 0\.650 0\.75, chosen 0\.800 0\.700", page.text)
    assert "out of domain, nDCG@10 (upwards: better)" in page.text


def test_without_averages_of_any_kind_nothing_is_said(built):
    assert "Averages of models" not in built.text


def test_there_is_no_figure_without_scores_of_both_kinds(tmp_path):
    page = made(tmp_path, benchmarks={"nfcorpus": ["nfcorpus"], "in_domain": ["news"]}).report()
    assert "(upwards: better)" in page.text
    page = made(tmp_path / "one", benchmarks={"in_domain": ["news"]}).report()
    assert "(upwards: better)" not in page.text
    assert "soup, share 0.75, chosen" in page.text


def test_a_missing_file_is_named(tmp_path):
    tree = made(tmp_path)
    Path(tree.layout.soup_scores("tiny", 1, "soup-all")).unlink()
    with pytest.raises(UserError, match=r"soup-all/soup\.json"):
        tree.report()
