"""Averages measured in memory, against the same ones written by `merge` and measured by `dev-scores`."""

import json

import numpy as np
import pytest
from devsets import PLANE, dataset
from tinymodels import save_words

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import DEV_SCORES
from tdro.cli.main import main
from tdro.config.commands import DevScoresJob, SoupScoresJob
from tdro.evaluation.dev_scores import dev_scores, means
from tdro.evaluation.soup_scores import soup_scores
from tdro.evaluation.soups import read
from tdro.training.merge import merge


@pytest.fixture
def words(tmp_path):
    """Saves a static embedding of the words of a plane, moved by a matrix."""

    def saved(name, matrix):
        moved = {word: np.array(vector, float) @ matrix.T for word, vector in PLANE.items()}
        return save_words(tmp_path / name / "model", moved)

    return saved


@pytest.fixture
def asked(tmp_path):
    return {
        "a": dataset(tmp_path / "a", ["east", "north"], list(PLANE), [[3, 1, 2], [3, 4, 0, 2]]),
        "b": dataset(tmp_path / "b", ["west"], list(PLANE), [[0, 1, 2]]),
    }


@pytest.mark.parametrize("method", ["linear", "multislerp"])
def test_every_score_is_that_of_the_written_model(words, asked, tmp_path, method):
    random = np.random.default_rng(3)
    base, *models = (words(name, random.normal(size=(2, 2))) for name in ("base", "m1", "m2"))
    job = SoupScoresJob(datasets=asked, temperature=0.5, shares=[0.3, 0.7, 1], method=method)
    soup_scores(models, job, tmp_path / "soup.json", base)
    found = read(tmp_path / "soup.json")

    def measured(model):
        plain = DevScoresJob(datasets=asked, temperature=0.5)
        dev_scores(model, plain, tmp_path / "dev.parquet")
        return np.mean(list(means(read_table(tmp_path / "dev.parquet", DEV_SCORES)).values()), axis=0)

    assert list(found.ingredients) == ["m1", "m2", "base"]
    for model, one in zip((*models, base), found.ingredients.values(), strict=True):
        assert (one.loss, one.reciprocal_rank) == pytest.approx(measured(model), abs=1e-6)
    for soup in found.soups:
        merge(models, tmp_path / "soup", base=base, share=soup.share, method=method)
        assert (soup.loss, soup.reciprocal_rank) == pytest.approx(measured(tmp_path / "soup"), abs=1e-6)
    assert found.best.reciprocal_rank == max(soup.reciprocal_rank for soup in found.soups)
    main(["merge", *map(str, models), "--base", str(base), "--chosen", str(tmp_path / "soup.json"),
          "--method", method, "--output", str(tmp_path / "chosen")])  # fmt: skip
    merge(models, tmp_path / "soup", base=base, share=found.chosen, method=method)
    written = [tmp_path / name / "model.safetensors" for name in ("chosen", "soup")]
    assert written[0].read_bytes() == written[1].read_bytes()


def test_models_that_mirror_each_other_are_as_good_and_their_average_is_bad(words, asked, tmp_path, caplog):
    """Cosines are the same in a mirror, and of the average one direction alone is left."""
    models = [words("m1", np.eye(2)), words("m2", np.diag([1, -1]))]
    job = SoupScoresJob(datasets=asked, temperature=0.5)
    with caplog.at_level("INFO"):
        soup_scores(models, job, tmp_path / "soup.json")
    found = read(tmp_path / "soup.json")
    one, other = found.ingredients.values()
    assert one.loss == pytest.approx(other.loss)
    assert found.chosen is None
    assert found.between_basins
    assert "lie in different basins of the loss" in caplog.text
    assert "chosen" not in caplog.text


def test_a_good_average_is_not_warned_of_and_the_choice_is_said(words, asked, tmp_path, caplog):
    model, base = words("m1", np.eye(2)), words("base", np.diag([1, 0.5]))
    with caplog.at_level("INFO"):
        main(["soup-scores", str(model), "--base", str(base), "--output", str(tmp_path / "soup.json"), "--settings",
              json.dumps({"shares": [0.5, 1], "temperature": 0.5,
                          "datasets": {name: one.model_dump() for name, one in asked.items()}})])  # fmt: skip
    found = read(tmp_path / "soup.json")
    assert not found.between_basins
    assert "basins" not in caplog.text
    assert f"chosen: share {found.chosen:g}" in caplog.text
    assert found.soups[-1].loss == found.ingredients["m1"].loss
