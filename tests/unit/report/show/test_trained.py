"""`tdro rows`: what a training reads of a task, with its prompts and with scores."""

import shutil
from pathlib import Path

import pytest
from everyartifact import MIXTURE, MODEL, SEED, as_json, write_all

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import SCORED_TRAIN
from tdro.errors import UserError
from tdro.report.show.output import plain
from tdro.report.show.trained import Which, rows
from tdro.report.show.view import Asked
from tdro.text.strings import choose


@pytest.fixture
def own(tmp_path):
    """A folder of results that a test may change."""
    return Path(write_all(tmp_path).results)


def of(results, task="code", which=Which(), asked=Asked(whole=True), negatives=True) -> list[dict]:  # noqa: B008
    return as_json(rows(results, task, which, asked, negatives=negatives))["rows"]


def said(results, which=Which()) -> str:  # noqa: B008
    return as_json(rows(results, "code", which, Asked(), negatives=False))["said"]


def test_examples_are_those_of_the_plan_with_prompts_and_scores(layout):
    first = of(Path(layout.results))[0]
    assert first["name"] == "step 0, slot 0"
    wording = ("Find it.", "Look it up.")[choose(2, SEED, "code", 0)]
    assert [(text["is_a"], text["text"], text.get("score")) for text in first["texts"]] == [
        ("prompt", f"Do: {wording}\n", None),
        ("query", "code question 0", None),
        ("positive", "A title code answer 0", pytest.approx(0.9)),
        ("negative", "code answer 5", pytest.approx(0.6)),
    ]


def test_each_row_has_the_wording_that_its_training_took(layout):
    named = [text for row in of(Path(layout.results)) for text in row["texts"] if text["is_a"] in ("prompt", "query")]
    pairs = {query["row"]: prompt["text"] for prompt, query in zip(named[::2], named[1::2], strict=True)}
    wordings = ("Find it.", "Look it up.")
    assert pairs == {row: f"Do: {wordings[choose(2, SEED, 'code', row)]}\n" for row in range(3)}


def test_examples_are_spread_over_the_whole_training(layout):
    named = [row["name"] for row in of(Path(layout.results), asked=Asked(rows=3))]
    assert named == ["step 0, slot 0", "step 4, slot 0", "step 8, slot 0"]
    (one,) = of(Path(layout.results), asked=Asked(row=11))
    assert one["name"] == "step 10, slot 1"
    with pytest.raises(UserError, match="has 12 rows of the task and no row 12"):
        of(Path(layout.results), asked=Asked(row=12))


def test_negatives_are_left_out_unless_asked_for(layout):
    view = rows(Path(layout.results), "news", Which(), Asked(), negatives=False)
    assert all(text["is_a"] != "negative" for row in as_json(view)["rows"] for text in row["texts"])
    assert "1 more; --negatives shows them" in plain(view)


def test_uniform_is_read_unless_another_training_is_meant(layout, own):
    results = Path(layout.results)
    assert "(tiny, seed 1, uniform)" in said(results)
    assert "(tiny, seed 1, curr)" in said(results, Which(MODEL, SEED, MIXTURE))
    shutil.rmtree(own / MODEL / f"seed{SEED}/uniform")
    assert "(tiny, seed 1, curr)" in said(own)
    for which, message in (
        (Which("tini"), "no run of model 'tini' .did you mean 'tiny'"),
        (Which(seed=7), "tiny has no .* of seed 7; it has that of 1"),
        (Which(mixture="none"), "has no run with none/plan.parquet"),
    ):
        with pytest.raises(UserError, match=message):
            of(results, which=which)


def test_before_any_plan_the_training_rows_themselves_are_shown(own):
    shutil.rmtree(own / MODEL)
    assert [text["is_a"] for text in of(own)[1]["texts"]] == ["query", "positive", "negative", "negative"]
    assert "no training is planned yet" in said(own) and "not known before a model is trained" in said(own)
    (own / "data/code/train.parquet").unlink()
    with pytest.raises(UserError, match="is not there yet"):
        of(own)


def test_scores_of_a_cross_encoder_take_the_place_of_those_of_mining(own):
    scored = {"query": [0, 1, 2], "positives": [[0], [1], [2]], "negatives": [[5], [4], [3]]}
    scored |= {"positive_scores": [[8.0]] * 3, "negative_scores": [[-8.0]] * 3}
    write_table(own / "data/code/train.parquet", scored, SCORED_TRAIN)
    assert [text.get("score") for text in of(own)[0]["texts"]] == [None, None, 8.0, -8.0]


def test_an_unknown_task_is_guessed(layout):
    with pytest.raises(UserError, match=r"no training task 'cod' .did you mean 'code'..; the tasks are code, news"):
        of(Path(layout.results), "cod")
    with pytest.raises(UserError, match="name another --results"):
        of(Path("nowhere"), "code")
