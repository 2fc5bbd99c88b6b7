"""Averages of trained models in the real DAG: what is trained for them, what they weigh, and what is shown of them."""

import csv
import json

import numpy as np
import pytest
import torch
import yaml
from greekrows import write_datasets
from running import rules_to_run, snakemake
from safetensors.torch import load_file

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import DEV_SCORES
from tdro.evaluation.dev_scores import means
from tdro.evaluation.soups import read
from tdro.mixtures.weights import read_weights

pytestmark = [pytest.mark.workflow, pytest.mark.thorough]

RUN = "results/tiny/seed1"
SOUPS = ["soup-both", "soup-two", "soup-half", "soup-half@0.25", "soup-half@0.5"]
MIXTURES = ["uniform", "proportional", "averaged-both", *SOUPS]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder in which the whole workflow has run, with a base that finds something by itself."""
    folder = tmp_path_factory.mktemp("soups")
    write_datasets(folder, {"faq": 60, "code": 30}, {"web": 20}, held_out=10, dev=5)
    config = {
        "registry": "registry.yaml",
        "benchmarks": ["in_domain", "web"],
        "dev": ["dev_rows"],
        "models": [{"name": "tiny", "base": "./base", "prompts": "none"}],
        "proxy": "tiny",
        "seeds": [1],
        "jobs": "one",
        "mixtures": MIXTURES,
        "soups": {
            "both": {"of": ["uniform", "proportional"]},
            "two": {"of": ["bag50-3"], "seeds": 2, "method": "multislerp"},
            "half": {"of": ["uniform"], "base": "dev", "shares": [0.25, 0.75, 1]},
        },
        "evaluation": {"untrained": ["base"]},
        "training": {"steps": 4, "batch_size": 8, "warmup_steps": 1, "learning_rate": 0.01, "temperature": 0.05},
        "report": {"bootstrap_samples": 200},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    snakemake(folder)
    return folder


def weights(project, mixture, seed=1):
    """The only tensor of a model."""
    (tensor,) = load_file(project / f"results/tiny/seed{seed}/{mixture}/model/model.safetensors").values()
    return tensor


def test_models_are_the_averages_of_trained_ones_and_of_the_base(project):
    uniform, proportional = weights(project, "uniform"), weights(project, "proportional")
    assert not torch.equal(uniform, proportional)
    torch.testing.assert_close(weights(project, "soup-both"), (uniform + proportional) / 2)
    bags = [weights(project, "bag50-3", seed) for seed in (1, 2)]
    mean, found = sum(bags) / 2, weights(project, "soup-two")
    assert not torch.equal(found, mean)  # on the sphere, close to the line
    assert (found - mean).norm() < 0.01 * (bags[0] - bags[1]).norm()
    (base,) = load_file(project / "base/model.safetensors").values()
    for share in (0.25, 0.5):
        expected = base + share * (uniform - base)
        torch.testing.assert_close(weights(project, f"soup-half@{share}"), expected, atol=1e-6, rtol=1e-5)
    assert not (project / "results/tiny/base").exists()
    chosen = read(project / RUN / "soup-half/soup.json").chosen
    assert chosen in (0.25, 0.75, 1)
    torch.testing.assert_close(weights(project, "soup-half"), base + chosen * (uniform - base), atol=1e-6, rtol=1e-5)


def test_soups_are_measured_on_dev_queries_as_other_retrievers_are(project):
    """Against `snakemake dev`, which loads every written model."""
    asked = ["uniform", "soup-both", "soup-half@0.5"]
    snakemake(project, *(f"{RUN}/{name}/dev.parquet" for name in asked))

    def measured(name):
        return np.mean(list(means(read_table(project / RUN / name / "dev.parquet", DEV_SCORES)).values()), axis=0)

    for name in ("soup-both", "soup-half@0.5"):
        found = read(project / RUN / name / "soup.json")
        assert found.datasets == ["code", "faq"]
        for one, written in ((found.ingredients["uniform"], "uniform"), (found.best, name)):
            assert (one.loss, one.reciprocal_rank) == pytest.approx(measured(written), abs=1e-4)


def test_weights_are_the_mean_of_those_that_were_trained_with(project):
    found = {m: read_weights(project / RUN / f"weights/{m}.json").weights for m in (*MIXTURES, "bag50-3")}
    for task in ("faq", "code"):
        both = (found["uniform"][task] + found["proportional"][task]) / 2
        assert found["soup-both"][task] == found["averaged-both"][task] == pytest.approx(both)
    assert found["soup-two"] == found["bag50-3"] == found["soup-half@0.25"] == found["uniform"]
    assert not torch.equal(weights(project, "averaged-both"), weights(project, "soup-both"))


def test_every_soup_is_scored_and_only_what_is_named_is(project):
    with (project / "results/report/results.csv").open() as file:
        scored = {row["mixture"] for row in csv.DictReader(file)}
    assert scored == {*MIXTURES, "untrained"}
    assert not (project / RUN / "bag50-3/eval").exists()
    assert not (project / "results/tiny/seed2/weights").exists()  # the further seed trains on those of the first
    assert sorted(path.parent.name for path in project.glob("results/tiny/seed2/*/model")) == ["bag50-3"]


def test_another_share_trains_nothing_and_a_finished_run_does_nothing(project):
    assert rules_to_run(project) == set()
    listed = f"mixtures={json.dumps([*MIXTURES, 'soup-half@0.75'])}"
    assert rules_to_run(project, "--config", listed) == {"base", "derive", "evaluate", "merge", "report", "soup_scores"}


def test_a_soup_is_packed_with_a_card_that_says_what_it_is(project):
    snakemake(project, "results/packages/tiny.seed1.soup-both.tar.gz")
    card = (project / RUN / "soup-both/model/README.md").read_text()
    assert "| uniform | 0.5 |\n| proportional | 0.5 |" in card
