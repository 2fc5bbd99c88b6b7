"""What runs again when something changes: no more than the change reaches, decided in the run that makes the change.

A finished project gets another benchmark, rows that say nothing new, and keys that change no result.
"""

import json
import random
import re
import shutil

import pytest
import yaml
from running import rules_to_run, snakemake

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import LEAKS

pytestmark = pytest.mark.workflow

#: Rules behind the training data.
LEARNING = {"uniform_weights", "plan", "train", "plan_tdro", "reference", "optimize", "derive"}
DECIDING = {"prepared", "deduplicated"}


def write_rows(path, rows):
    lines = [{"query": q, "positive": p, "negatives": [f"no answer to {q}", f"nor this to {q}"]} for q, p in rows]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def questions(name, number):
    """Questions of made words, which no other name shares, and their answers."""
    rng = random.Random(name)
    made = [" ".join("".join(rng.choices("abcdefghijklmnop", k=7)) for _ in range(6)) for _ in range(number)]
    return [(f"{text}?", f"{name} answer {i}") for i, text in enumerate(made)]


@pytest.fixture(scope="module")
def finished(tiny_base, tmp_path_factory):
    """A folder with two tasks and a benchmark, in which the whole workflow has run."""
    folder = tmp_path_factory.mktemp("finished")
    entry = {"language": "en", "instruction": "Find it."}
    registry = {"tasks": {}, "benchmarks": {}}
    for kind, name in (("tasks", "first"), ("tasks", "second"), ("benchmarks", "web"), ("benchmarks", "news")):
        write_rows(folder / f"{name}.jsonl", questions(name, 30))
        limits = {"negatives": "provided", "category": "toy", "held_out": 3} if kind == "tasks" else {}
        registry[kind][name] = entry | limits | {"source": {"reader": "jsonl", "path": f"{name}.jsonl"}}
    (folder / "registry.yaml").write_text(yaml.safe_dump(registry))
    steps = {"batch_size": 4, "negatives": 1, "warmup_steps": 1, "learning_rate": 0.001, "steps": 2}
    config = {
        "registry": "registry.yaml",
        "benchmarks": ["in_domain", "web"],
        "models": [{"name": "tiny", "base": str(tiny_base)}],
        "proxy": "tiny",
        "seeds": [1],
        "mixtures": ["uniform", "curr"],
        "encoding": {"query_length": 64, "passage_length": 64, "precision": "fp32"},
        "evaluation": {"untrained": ["bm25"]},
        "training": steps,
        "tdro": steps | {"accumulation": 2},
        "report": {"bootstrap_samples": 100},
    }
    change(folder, config)
    snakemake(folder)
    return folder


@pytest.fixture
def project(finished, tmp_path):
    """The same in a folder that a test may change; data and registry are named relative to it."""
    return shutil.copytree(finished, tmp_path / "project")


def change(folder, keys):
    file = folder / "config.yaml"
    config = yaml.safe_load(file.read_text()) if file.is_file() else {}
    file.write_text(yaml.safe_dump(config | keys))


def rules_run(folder, *arguments):
    """Names of the rules whose jobs a run has run."""
    snakemake(folder, *arguments)
    newest = max((folder / ".snakemake/log").glob("*.log"), key=lambda log: log.stat().st_mtime)
    return set(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", newest.read_text(), re.MULTILINE)) - {"default"}


def test_what_a_change_does_not_reach_does_not_run(project):
    # Rows that are there already: preparation drops them, and what it writes is as it was.
    rows = (project / "first.jsonl").read_text()
    (project / "first.jsonl").write_text(rows + rows.splitlines()[0] + "\n")
    assert rules_run(project) == {"prepare_task"} | DECIDING
    assert rules_run(project) == set()
    # One more benchmark that repeats no training query.
    change(project, {"benchmarks": ["in_domain", "web", "news"]})
    made = {"prepare_benchmark", "dedup", "leaks", "evaluate", "evaluate_bm25", "report"} | DECIDING
    model = project / "results/tiny/seed1/curr/model/model.safetensors"
    before = model.stat().st_mtime_ns
    assert rules_run(project) == made
    assert model.stat().st_mtime_ns == before
    assert rules_run(project) == set()
    # The same benchmark with a query of the training data in it.
    leaked = json.loads((project / "second.jsonl").read_text().splitlines()[-1])["query"]
    write_rows(project / "news.jsonl", [*questions("news", 30), (leaked, "an answer")])
    assert rules_run(project) == made | LEARNING
    assert rules_run(project) == set()


def test_a_benchmark_that_deduplication_leaves_out_reruns_no_training(project):
    leaked = json.loads((project / "second.jsonl").read_text().splitlines()[-1])["query"]
    write_rows(project / "news.jsonl", [*questions("news", 30), (leaked, "an answer")])
    change(project, {"benchmarks": ["in_domain", "web", "news"], "dedup": {"against": ["web", "in_domain"]}})
    made = {"prepare_benchmark", "leaks", "evaluate", "evaluate_bm25", "report"} | DECIDING
    assert rules_run(project) == made
    leaks = {
        row["dataset"]: row["query_in_query"]
        for row in read_table(project / "results/leaks.parquet", LEAKS).to_pylist()
    }
    assert leaks["news"] == 1 and leaks["web"] == 0


def test_keys_that_change_no_result_rerun_nothing(project):
    config = yaml.safe_load((project / "config.yaml").read_text())
    often = {"save_steps": 5, "log_steps": 1, "report_to": [], "mini_batch_tokens": 4096}
    change(
        project,
        {
            "training": config["training"] | often,
            "tdro": config["tdro"] | often,
            "models": [config["models"][0] | {"accelerate": "cpu"}],
            "encoding": config["encoding"] | {"batch_size": 8},
        },
    )
    assert rules_to_run(project) == set()
    change(project, {"training": config["training"] | {"learning_rate": 0.002}})
    assert "train" in rules_to_run(project)


@pytest.mark.thorough
def test_a_model_stays_until_the_next_one_takes_its_place(project):
    config = yaml.safe_load((project / "config.yaml").read_text())
    model = project / "results/tiny/seed1/uniform/model/model.safetensors"
    before = model.read_bytes()
    change(project, {"training": config["training"] | {"learning_rate": 1e30, "steps": 6, "log_steps": 1}})
    output = snakemake(project, check=False)
    assert "is not finite" in output
    assert model.read_bytes() == before
    assert "train" in rules_to_run(project)
    # As a job leaves it that is killed while the new model is copied.
    (project / ".snakemake/backups/results/tiny/seed1/uniform/model").mkdir(parents=True)
    change(project, {"training": config["training"] | {"learning_rate": 0.002}})
    assert "train" in rules_run(project)
    assert model.read_bytes() != before
    assert rules_to_run(project) == set()


@pytest.mark.thorough
def test_previews_lie_beside_full_scores_and_go_with_the_key(project):
    """Of a large corpus a sample is searched, by all retrievers; nothing of it is taken for a full score."""
    folder = project / "results/tiny/seed1/curr/eval"
    full = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in project.glob("results/**/eval/*")}
    change(project, {"evaluation": {"untrained": ["bm25"], "sample": {"hard": 1, "random": 2}}})
    assert rules_run(project) == {"sample_corpus", "evaluate", "evaluate_bm25", "report"}
    ran = (project / "logs/sample_corpus").glob("*.tsv")
    assert [file.name for file in ran] == ["web.tsv"], "the held-out rows are searched whole"
    assert not (folder / "in_domain@sample.json").exists()
    stated = json.loads((folder / "web@sample.json").read_text())["datasets"]["web"]
    whole = json.loads((folder / "web.json").read_text())["datasets"]["web"]
    assert 30 <= stated["passages"] < stated["sampled_from"] == whole["passages"] == 90
    assert stated["ndcg_at_10"] >= whole["ndcg_at_10"]
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in full} == full
    assert "web (preview)" in (project / "results/report/index.html").read_text()
    assert "web (preview)" in (project / "logs/report/report.log").read_text()
    snakemake(project, "results/packages/tiny.seed1.curr.tar.gz")
    snakemake(project, "--report", "captions.html", cores=None)
    assert "evaluated on a sample of a corpus" in (project / "captions.html").read_text()
    assert rules_run(project) == set()
    change(project, {"evaluation": {"untrained": ["bm25"], "sample": {"hard": 0, "random": 0}}})
    assert rules_run(project) == {"sample_corpus", "evaluate", "evaluate_bm25", "report"}
    assert json.loads((folder / "web@sample.json").read_text())["datasets"]["web"]["passages"] == 30
    change(project, {"evaluation": {"untrained": ["bm25"]}})
    assert rules_run(project) == {"report"}
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in full} == full
    assert "preview" not in (project / "results/report/results.csv").read_text().partition("\n")[2]
    assert "(preview)" not in (project / "results/report/index.html").read_text()
