"""Mixtures that merged experts tell, in the real DAG: what is trained for them, what they weigh, what is shown."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from daggraph import jobs, reached
from greekrows import write_datasets
from running import rules_to_run, snakemake
from safetensors.torch import load_file

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import EXPERT_SCORES
from tdro.mixtures.fit_law import read_law
from tdro.mixtures.weights import read_weights

pytestmark = [pytest.mark.workflow, pytest.mark.thorough]

RUN = "results/tiny/seed1"
TASKS = ["code", "faq.v2", "web-7"]
MIXTURES = ["uniform", "mergemix", "transfer", "prune"]


def write_project(folder, **changes):
    """Three tasks with dev rows, a benchmark, and a base that finds something by itself."""
    write_datasets(folder, dict(zip(TASKS, (60, 50, 40), strict=True)), {"wiki": 20}, held_out=5, dev=8)
    config = {
        "registry": "registry.yaml",
        "benchmarks": ["in_domain", "wiki"],
        "dev": ["dev_rows"],
        "models": [{"name": "tiny", "base": "./base", "prompts": "none"}],
        "proxy": "tiny",
        "seeds": [1],
        "jobs": "one",
        "mixtures": MIXTURES,
        "experts": {"warmup": 0.25, "steps": 0.5, "candidates": 6},
        "evaluation": {"untrained": []},
        "training": {"steps": 12, "batch_size": 8, "warmup_steps": 2, "learning_rate": 0.02, "temperature": 0.05},
        "report": {"bootstrap_samples": 200},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config | changes))
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Such a folder in which the whole workflow has run."""
    folder = write_project(tmp_path_factory.mktemp("experts"))
    snakemake(folder)
    return folder


def shares(project, mixture):
    return read_weights(project / RUN / f"weights/{mixture}.json").weights


def test_experts_go_on_from_the_warm_up_on_rows_that_it_has_not_seen(project):
    for task in TASKS:
        found = shares(project, f"expert-{task}")
        assert found == {other: pytest.approx(1 / 6 + (other == task) / 2) for other in TASKS}
    plans = {name: pl.read_parquet(project / RUN / name / "plan.parquet") for name in ("warmup", "expert-code")}
    assert {name: plan["step"].n_unique() for name, plan in plans.items()} == {"warmup": 3, "expert-code": 6}
    queries = [set(plan.filter(pl.col("task") == "code")["query"]) for plan in plans.values()]
    assert len(queries[1]) == 32  # four of six steps, each row once
    assert not queries[0] & queries[1]
    (start,), (end,) = (load_file(project / RUN / f"{name}/model/model.safetensors").values() for name in plans)
    (base,) = load_file(project / "base/model.safetensors").values()
    assert 0 < (end - start).norm() < (end - base).norm()
    assert not (project / RUN / "warmup/eval").exists()


def test_a_candidate_scores_as_the_model_does_that_it_stands_for(project):
    measured = pl.read_parquet(project / RUN / "experts/dev.parquet")
    name = "expert-web-7"
    snakemake(project, f"{RUN}/{name}/dev.parquet")
    alone = pl.read_parquet(project / RUN / name / "dev.parquet")
    merged = measured.filter(pl.col("candidate") == name).select(alone.columns)
    assert merged["query"].equals(alone["query"])
    np.testing.assert_allclose(merged["loss"], alone["loss"], atol=1e-4)
    # Uniform, corners, leave-one-out and proportional: more than the six that the configuration asks for.
    assert measured["candidate"].n_unique() == 1 + 8


def test_mixtures_follow_from_what_experts_tell(project):
    told = read_law(project / RUN / "experts/law.json")
    assert (told.tasks, told.datasets) == (TASKS, TASKS)
    helped = np.array([np.delete(told.transfer[:, k], k).mean() for k in range(3)])
    expected = np.exp(2 * helped / np.abs(helped).max())
    assert list(shares(project, "transfer").values()) == pytest.approx(expected / expected.sum())
    mergemix = shares(project, "mergemix")
    assert sum(mergemix.values()) == pytest.approx(1)
    assert min(mergemix.values()) >= 1 / 6 - 1e-9
    decided = json.loads((project / RUN / "experts/prune.json").read_text())
    kept = shares(project, "prune")
    assert kept == {task: pytest.approx(1 / len(decided["kept"])) for task in decided["kept"]}
    asked = json.loads((project / RUN / "experts/candidates.json").read_text())["asked"]
    assert sorted(p.parent.name for p in project.glob(f"{RUN}/without-*/model")) == sorted(
        f"without-{t}" for t in asked
    )


def test_the_report_shows_who_helps_whom_and_what_was_foretold(project):
    page = (project / "results/report/index.html").read_text()
    assert "Which dataset helps which" in page
    told = read_law(project / RUN / "experts/law.json")
    for value in told.transfer.ravel():
        assert f">{value:+.3f}<" in page
    assert f"of {np.median(told.ranking):.2f}" in page
    assert page.count("outside of what experts can tell") == 0
    decided = json.loads((project / RUN / "experts/prune.json").read_text())
    assert ("No task can be told to harm" in page) == (not decided["dropped"])


def test_a_finished_run_does_nothing_and_another_eta_fits_no_law(project):
    assert rules_to_run(project) == set()
    found = rules_to_run(project, "--config", 'experts={"warmup": 0.25, "steps": 0.5, "candidates": 6, "eta": 1.0}')
    assert found == {"derive", "plan", "train", "dev_scores", "evaluate", "report"}


def test_a_task_that_merged_experts_make_doubtful_is_left_out_of_one_training(project, tmp_path):
    """The scores are changed so that all queries are answered better without `code`."""
    folder = shutil.copytree(project, tmp_path / "changed", symlinks=True)
    file = folder / RUN / "experts/dev.parquet"
    without = pl.col("candidate") == "without-code"
    better = pl.when(without).then(1.0).otherwise(pl.col("reciprocal_rank") / 2)
    write_table(file, pl.read_parquet(file).with_columns(better.alias("reciprocal_rank")).to_arrow(), EXPERT_SCORES)
    snakemake(folder, f"{RUN}/weights/prune.json", "--rerun-triggers", "mtime")
    assert "code" in json.loads((folder / RUN / "experts/candidates.json").read_text())["asked"]
    decided = json.loads((folder / RUN / "experts/prune.json").read_text())
    assert "code" in decided["trained"]
    assert shares(folder, "without-code") == {"faq.v2": 0.5, "web-7": 0.5}
    (with_all,), (left,) = (
        load_file(folder / RUN / f"{name}/model/model.safetensors").values() for name in ("uniform", "without-code")
    )
    assert not torch.equal(with_all, left)


def test_no_expert_and_no_choice_has_seen_what_is_reported(tmp_path):
    found = jobs(write_project(tmp_path), "all")
    everything = {file for job in found for file in (*job.inputs, *job.outputs)}
    reported = {file for file in everything if "results/benchmarks/wiki/" in file or "/heldout/" in file}
    behind = reached(found, reported, without={"dedup", "prepared", "deduplicated"})
    assert "results/report/index.html" in behind
    assert not {file for file in behind if any(part in file for part in ("/experts/", "/weights/", "model", "/plan."))}
    assert {f"{RUN}/experts/{name}" for name in ("law.json", "prune.json")} <= everything
