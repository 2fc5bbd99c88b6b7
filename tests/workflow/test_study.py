"""A study of a tiny project by `tdro study`, and what mixtures cost by the files of the real DAG."""

import subprocess
import sys

import pytest
import yaml
from daggraph import jobs, reached
from greekrows import write_datasets
from running import environment, rules_to_run
from toyjobs import ROOT

from tdro.artifacts.files import read_json
from tdro.artifacts.layout import Layout
from tdro.config import mixturenames
from tdro.mixtures.weights import Weights, write_weights
from tdro.pipeline.start import read

pytestmark = pytest.mark.workflow

#: One of every kind, but for those that a soup is made of alone.
MIXTURES = [
    *(
        "uniform",
        "proportional",
        "temperature3",
        "unimax2",
        "curr",
        "mean",
        "ema",
        "top70",
        "bottom50",
        "loss",
        "doremi",
    ),
    *("shuffled-1", "random70-1", "longer", "chameleon", "file-old", "bag80-1", "averaged-both", "soup-both"),
    *("soup-seeds", "soup-mean", "mergemix", "transfer", "prune", "without-faq"),
]
SOUPS = {
    "both": {"of": ["top50@ratio-0.05", "proportional"]},
    "seeds": {"of": ["doremi"], "seeds": 2},
    "mean": {"of": ["uniform"], "base": 0.5},
}


def configuration(**changes):
    values = {
        "registry": "registry.yaml",
        "benchmarks": ["in_domain", "web"],
        "dev": ["dev_rows", "wiki"],
        "models": [{"name": "tiny", "base": "./base", "prompts": "none"}],
        "proxy": "tiny",
        "seeds": [1],
        "jobs": "one",
        "mixtures": ["uniform"],
        "evaluation": {"untrained": []},
        "training": {"steps": 4, "batch_size": 8, "warmup_steps": 1, "learning_rate": 0.01, "temperature": 0.05},
        "tdro": {"steps": 3, "batch_size": 8, "accumulation": 1, "negatives": 2, "warmup_steps": 0},
        "report": {"bootstrap_samples": 200},
    }
    return yaml.safe_dump(values | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three tasks with dev rows, a benchmark that is reported and one that is chosen on, and a configuration."""
    made = tmp_path_factory.mktemp("study")
    write_datasets(made, {"faq": 60, "code": 40, "news": 50}, {"web": 20, "wiki": 20}, held_out=8, dev=8)
    write_weights(made / "old.json", Weights({"faq": 0.5, "code": 0.5}, {"faq": 60, "code": 40}))
    (made / "config.yaml").write_text(configuration())
    return made


def study(folder, *arguments, check=True):
    line = [sys.executable, "-m", "tdro", "study", str(folder / "config.yaml"), "--directory", str(folder), *arguments]
    variables = environment(folder) | {"PYTHONPATH": str(ROOT)}
    together = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(line, env=variables, cwd=folder.parent, **together)
    assert (done.returncode == 0) == check, done.stdout
    return done.stdout


@pytest.mark.thorough
def test_a_study_forecasts_runs_and_says_what_to_train_on(folder):
    said = study(folder, "--mixtures", "uniform", "proportional", "--seeds", "3", "4", "--cores", "2")
    assert said.index("| dev_scores") < said.index("[0 of ") < said.index("what the choice was made by")
    found = read_json(folder / "results/report/study.json")["models"]["tiny"]
    assert " ".join(said.split()).endswith(found["sentence"]) and "(2 seeds, 44 queries)" in found["sentence"]
    assert (found["queries"], set(found["mixtures"])) == (3 * 8 + 20, {"uniform", "proportional"})
    assert found["mixtures"]["proportional"]["trainings"] == 1
    assert "in_domain" in found["mixtures"]["proportional"]["reported"]
    listed = ("--config", "mixtures=[uniform,proportional]", "seeds=[3,4]")
    assert rules_to_run(folder, "study", *listed) == set()


def test_without_dev_a_sentence_says_how_to_get_it(folder):
    (folder / "config.yaml").write_text(configuration(dev=[]))
    try:
        assert "write `dev: [dev_rows]` there and `dev: 100` for each task" in study(folder, check=False)
    finally:
        (folder / "config.yaml").write_text(configuration())


def test_what_mixtures_cost_is_what_the_dag_trains(folder, monkeypatch):
    assert {mixturenames.parse(name).kind for name in MIXTURES} == set(mixturenames._PATTERNS)
    values = {"mixtures": MIXTURES, "soups": SOUPS, "weights": {"old": "old.json"}}
    values |= {"sweep": {"measure": ["ratio"], "step_size": [0.05]}, "mining": {"encode": {"model": "./base"}}}
    text = (folder / "registry.yaml").read_text()
    (folder / "registry.yaml").write_text(text.replace("negatives: provided", "negatives: mined"))
    (folder / "config.yaml").write_text(configuration(**values))
    monkeypatch.chdir(folder)
    made = read(yaml.safe_load((folder / "config.yaml").read_text()), ROOT, [folder / "config.yaml"])
    found = jobs(folder, "all")
    learning = [job for job in found if job.rule in ("train", "reference", "optimize")]
    for name in MIXTURES:
        model = Layout("results").run("tiny", 1, f"{name}/model")
        behind = {tuple(job.outputs) for job in learning if model in reached(found, job.outputs)}
        assert len(behind) == len(made.costs.needed(name, 1)), name
