"""Leave-one-out utilities: planted ones are found, and chance is not."""

import json
import logging

import numpy as np
import pytest
import scipy.stats

from tdro.artifacts.files import read_json, write_json, write_table
from tdro.artifacts.schemas import DEV_SCORES
from tdro.config.commands import PruneJob
from tdro.errors import UserError
from tdro.evaluation.prune import dropped, prune, utilities

SETTINGS = {"confidence": 0.95, "samples": 2000, "seed": 1}
SIZES = {"faq": 150, "web": 300}


def scores(seed, shift=0.0, sizes=SIZES):
    random = np.random.default_rng(seed)
    return {name: random.normal(0.5 + shift, 0.1, size) for name, size in sizes.items()}


def planted(shifts, noise=0.02):
    """The retriever of all tasks, and those without each: what a task adds is missing without it."""
    whole = scores(0)
    random = np.random.default_rng(1)
    without = {
        task: [{name: values - adds + random.normal(0, noise, len(values)) for name, values in whole.items()}]
        for task, adds in shifts.items()
    }
    return [whole], without


def test_a_harmful_task_is_told_from_a_helpful_and_an_idle_one():
    found = utilities(*planted({"good": 0.03, "idle": 0.0, "bad": -0.02, "ugly": -0.05}), **SETTINGS)
    assert {task: one.harms for task, one in found.items()} == {"good": False, "idle": False, "bad": True, "ugly": True}
    assert found["ugly"].difference.mean == pytest.approx(-0.05, abs=0.005)
    assert dropped(found) == ["ugly", "bad"]


def test_half_of_the_tasks_stay():
    found = utilities(*planted({"a": -0.01, "b": -0.05, "c": -0.03}), **SETTINGS)
    assert all(one.harms for one in found.values())
    assert dropped(found) == ["b"]
    assert dropped(found, tasks=4) == ["b", "c"]
    assert dropped(utilities(*planted({"a": 0.01, "b": 0.02}), **SETTINGS)) == []


def test_the_interval_is_that_of_a_paired_bootstrap_of_the_macro_mean():
    whole, without = planted({"a": -0.004})
    found = utilities(whole, without, **SETTINGS)["a"].difference
    gains = [whole[0][name] - without["a"][0][name] for name in SIZES]
    oracle = scipy.stats.bootstrap(
        gains, lambda x, y, axis: (x.mean(axis=axis) + y.mean(axis=axis)) / 2, method="percentile", rng=0
    ).confidence_interval
    assert found.mean == pytest.approx(np.mean([gain.mean() for gain in gains]))
    assert (found.low, found.high) == pytest.approx(tuple(oracle), abs=3e-4)


def test_all_tasks_that_were_asked_about_are_corrected_for():
    whole, without = planted({"a": -0.006}, noise=0.03)
    alone, among = (utilities(whole, without, **SETTINGS, asked=asked)["a"] for asked in (None, 40))
    assert among.holm == pytest.approx(min(1, 40 * alone.holm))
    assert alone.harms and not among.harms


def test_seeds_that_disagree_drop_nothing():
    """On average the task harms, by 0.02; of three seeds one says otherwise."""
    whole = [scores(seed) for seed in range(3)]
    shifts = (-0.06, -0.05, 0.05)
    without = {"a": [{n: v - adds for n, v in one.items()} for one, adds in zip(whole, shifts, strict=True)]}
    assert not utilities(whole, without, **SETTINGS)["a"].harms
    agreed = {"a": [{n: v + 0.02 for n, v in one.items()} for one in whole]}
    assert utilities(whole, agreed, **SETTINGS)["a"].harms


def test_nothing_is_dropped_by_chance_more_often_than_stated():
    """Of 60 studies of four idle tasks, at a level of 5 %, eight or more would drop one with a chance of 1 in 100."""
    wrong = 0
    for study in range(60):
        random, whole = np.random.default_rng(study), scores(study, sizes={"faq": 60})
        without = {f"t{n}": [{"faq": whole["faq"] + random.normal(0, 0.1, 60)}] for n in range(4)}
        found = utilities([whole], without, confidence=0.95, samples=400, seed=study)
        wrong += bool(dropped(found))
    assert wrong < 8


def test_retrievers_of_other_queries_are_refused():
    whole, without = planted({"a": 0.0})
    with pytest.raises(ValueError, match="same queries"):
        utilities(whole, {"a": [{"faq": without["a"][0]["faq"]}]}, **SETTINGS)


def write_scores(file, ranks):
    names = [name for name, values in ranks.items() for _ in values]
    values, rows = np.concatenate(list(ranks.values())), [n for of in ranks.values() for n in range(len(of))]
    # A loss that says the opposite, and counts for nothing.
    write_table(file, {"dataset": names, "query": rows, "loss": values, "reciprocal_rank": values}, DEV_SCORES)
    return file


@pytest.fixture
def files(tmp_path):
    """Dev scores with all of five tasks and without each of two that are asked about, of which one harms."""
    (whole,), without = planted({"ugly": -0.05, "idle": 0.0})
    merged = {task: {"mean": -0.01, "low": -0.02, "high": -0.001, "p": 0.01} for task in "abcd"}
    asked = {"tasks": ["a", "b", "idle", "c", "ugly"], "merged": merged, "asked": list(without)}
    write_json(tmp_path / "candidates.json", asked)
    left = [write_scores(tmp_path / f"{task}.parquet", scored) for task, (scored,) in without.items()]
    return tmp_path / "candidates.json", write_scores(tmp_path / "whole.parquet", whole), left, tmp_path / "prune.json"


def test_a_task_that_a_training_without_it_confirms_is_dropped(files, caplog):
    candidates, whole, without, output = files
    with caplog.at_level(logging.INFO):
        prune(candidates, whole, without, output, PruneJob(samples=2000))
    found = json.loads(output.read_text())
    assert (found["dropped"], found["kept"]) == (["ugly"], ["a", "b", "idle", "c"])
    assert found["trained"]["ugly"]["high"] < 0 < found["trained"]["idle"]["high"]
    # Five tasks were looked at, so that the p of each of the two is multiplied by 5 or 4.
    assert found["trained"]["ugly"]["holm"] == pytest.approx(5 * found["trained"]["ugly"]["p"])
    assert "ugly: -0.0" in caplog.text and "for all tasks: dropped" in caplog.text


def test_nothing_to_drop_is_said(files, caplog):
    candidates, whole, _, output = files
    write_json(candidates, read_json(candidates) | {"asked": []})
    with caplog.at_level(logging.INFO):
        prune(candidates, whole, [], output, PruneJob())
    assert json.loads(output.read_text())["kept"] == ["a", "b", "idle", "c", "ugly"]
    assert "no task can be told to harm, so prune is uniform" in caplog.text


def test_a_training_without_each_task_asked_about_is_needed(files):
    candidates, whole, without, output = files
    with pytest.raises(
        UserError, match=r"candidates\.json asks about 2 tasks; name a file of dev scores for each, not 1"
    ):
        prune(candidates, whole, without[:1], output, PruneJob())
    write_json(candidates, {"kept": ["a"]})
    with pytest.raises(UserError, match=r"candidates\.json: key `tasks` is missing"):
        prune(candidates, whole, without, output, PruneJob())
