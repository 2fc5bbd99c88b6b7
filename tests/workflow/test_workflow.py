"""The real DAG, run by Snakemake on a tiny configuration: three tasks, one benchmark, a two-layer model."""

import csv
import json
import os
import re
import shutil
import tarfile

import numpy as np
import pytest
import yaml
from fakehub import FakeHub
from running import rules_to_run, snakemake

from tdro.artifacts.files import read_counts, read_json, read_table, write_json
from tdro.artifacts.schemas import DUPLICATES, LEAKS, PLAN, TRAIN, TRAJECTORY
from tdro.config.models import Encoding, Model
from tdro.mixtures.weights import Weights, read_weights, write_weights
from tdro.models.bases import load_retriever

pytestmark = pytest.mark.workflow

WORDS = ["red", "green", "blue", "wide", "narrow", "old", "new", "warm", "cold", "quick", "slow", "bright", "dark"]
RUN = "results/tiny/seed1"
WORDINGS = [
    f"Find the shelf, as question {n} of the long list in the handbook of the warehouse asks." for n in range(1700)
]


AFTER_MINING = {
    "dedup",
    "deduplicated",
    "leaks",
    "uniform_weights",
    "plan",
    "plan_tdro",
    "train",
    "reference",
    "optimize",
}
OF_MODELS = {"search_corpus", "merge_rankings", "score", "evaluate"}
AFTER_MINING |= {"derive", "report", *OF_MODELS}
OF_MINER = {"search_corpus_untrained", "merge_rankings", "score_untrained", "evaluate_untrained"}
UNTRAINED = {"evaluate_bm25", *OF_MINER}
# What a dry run lists where data have to be prepared anew: whether they differ is known when they are there.
BEHIND_DATA = {"prepared", "encode", "search", "select", *AFTER_MINING, *UNTRAINED}


def sentence(rng, words, tag):
    return " ".join([*rng.choice(WORDS, words), tag])


def write_rows(path, name, rows, *, negatives=False):
    """Rows of one task; its passages say the query's words in another order and a little more."""
    rng = np.random.default_rng(len(name))
    with path.open("w") as file:
        for number in range(rows):
            query = sentence(rng, 5, f"{name} item {number} of the {rng.choice(WORDS)} shelf")
            row = {"query": query, "positive": " ".join(reversed(query.split())) + " " + sentence(rng, 3, name)}
            if negatives:
                row["negatives"] = [sentence(rng, 6, f"{name} other {number} {k}") for k in range(4)]
            file.write(json.dumps(row) + "\n")


def write_beir(folder):
    """Thirty passages in BEIR's layout; the queries and judgements that belong to it are not needed here."""
    rng = np.random.default_rng(3)
    folder.mkdir()
    rows = [{"_id": f"p{i}", "title": "", "text": sentence(rng, 6, f"answer{i}")} for i in range(30)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_mkqa(folder):
    """Ten questions in two languages, each answered by one passage, and one that nothing answers."""
    with (folder / "mkqa.jsonl").open("w") as file:
        for number in range(11):
            kind = "entity" if number < 10 else "unanswerable"
            answers = {"en": [{"type": kind, "entity": None, "text": f"answer{number}"}]}
            queries = {language: f"{language} question {number}" for language in ("ar", "th")}
            file.write(json.dumps({"example_id": number, "queries": queries, "answers": answers}) + "\n")
    return folder / "mkqa.jsonl"


def dataset(path, **keys):
    source = {"reader": "jsonl", "path": str(path)}
    return {"source": source, "language": "en", "instruction": "Find the shelf.", "category": "toy"} | keys


@pytest.fixture(scope="module")
def project(tiny_base, tmp_path_factory):
    """A folder with data, models and configuration, in which the whole workflow has run."""
    folder = tmp_path_factory.mktemp("project")
    for name, negatives in (("mined", False), ("same", False), ("given", True), ("web", False)):
        write_rows(folder / f"{name}.jsonl", name, 40, negatives=negatives)
    leaked = (folder / "web.jsonl").read_text().splitlines()[:3]
    with (folder / "given.jsonl").open("a") as file:
        for line in leaked:
            row = json.loads(line)
            file.write(json.dumps(row | {"negatives": ["quite another passage", "and one more of them"]}) + "\n")
    limits = {"held_out": 5, "held_out_corpus": 20}
    benchmark = dataset(folder / "web.jsonl")
    del benchmark["category"]
    folders = {"language": "en", "instruction": "Find the shelf.", "suite": "MKQA"}
    registry = {
        "tasks": {
            "mined": dataset(folder / "mined.jsonl", **limits),
            "same": dataset(folder / "same.jsonl", symmetric=True, **limits),
            # More text than one argument of a command line holds (128 KB).
            "given": dataset(folder / "given.jsonl", negatives="provided", instruction=WORDINGS),
        },
        "benchmarks": {
            "web": benchmark,
            "beir": folders
            | {
                "source": {"reader": "beir", "path": str(write_beir(folder / "beir"))},
                "expected_rows": {"passages": 30},
            },
            "mkqa": folders
            | {"source": {"reader": "mkqa", "path": str(write_mkqa(folder))}, "parts": ["ar", "th"], "corpus": "beir"},
        },
    }
    (folder / "registry.yaml").write_text(yaml.safe_dump(registry))
    (folder / "known.txt").write_text("a question of another benchmark\n")
    write_weights(folder / "ours.json", Weights({"same": 0.75, "mined": 0.25}, {"same": 1, "mined": 1}))
    model = {"name": "tiny", "base": str(tiny_base)}
    encoding = {"query_length": 160, "passage_length": 96, "precision": "fp32"}
    miner = load_retriever(Model(**model), Encoding(**encoding))
    miner.save_pretrained(str(folder / "miner"))
    steps = {"batch_size": 8, "warmup_steps": 1, "learning_rate": 0.001, "temperature": 0.05, "save_steps": 2}
    config = {
        "registry": str(folder / "registry.yaml"),
        "benchmarks": ["in_domain", "web", "mkqa"],
        "models": [model],
        "proxy": "tiny",
        "seeds": [1],
        "mixtures": ["uniform", "top70", "loss", "file-ours"],
        "weights": {"ours": str(folder / "ours.json")},
        "dedup": {"queries": [str(folder / "known.txt")]},
        "mining": {"encode": {"model": str(folder / "miner")}, "select": {"ranks": [0, 20], "samples": 4}},
        "encoding": encoding,
        "evaluation": {"untrained": ["bm25", "miner"], "run_files": True, "scatter": 10},
        "training": steps | {"steps": 4},
        "tdro": steps | {"steps": 3, "negatives": 2, "accumulation": 2},
        "report": {"bootstrap_samples": 200},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "output.txt").write_text(snakemake(folder))
    return folder


def test_every_edge_has_its_schema_and_every_mixture_its_model(project):
    from sentence_transformers import SentenceTransformer

    weights = read_weights(project / RUN / "weights/top70.json")
    assert len(weights.weights) == 2
    uniform = read_weights(project / RUN / "weights/uniform.json")
    assert set(uniform.weights) == {"mined", "same", "given"}
    for task, size in uniform.sizes.items():
        assert read_table(project / f"results/data/{task}/train.parquet", TRAIN).num_rows == size
    plan = read_table(project / RUN / "top70/plan.parquet", PLAN)
    assert set(plan["task"].to_pylist()) == set(weights.weights)
    trajectory = read_table(project / RUN / "tdro/trajectory.parquet", TRAJECTORY).to_pandas()
    assert trajectory.groupby("step")["weight"].sum().tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    for mixture in ("uniform", "top70", "loss", "file-ours"):
        model = SentenceTransformer(str(project / RUN / mixture / "model"))
        assert model.encode(["red shelf"]).shape == (1, 32)
    assert not [path for path in (project / "checkpoints").rglob("*") if path.is_file()]
    assert list((project / "logs/tensorboard/tiny/seed1/top70").glob("events.*"))


def test_training_queries_that_repeat_a_benchmark_are_gone(project):
    counts = read_counts(project / "results/data/given/train.parquet")
    assert counts["near-duplicates of evaluation queries"] == 3
    duplicates = read_table(project / "results/data/given/duplicates.parquet", DUPLICATES)
    assert duplicates["source"].to_pylist() == ["web"] * 3
    assert duplicates["distance"].to_pylist() == [0] * 3


def test_only_tasks_without_negatives_of_their_own_are_mined(project):
    assert (project / "results/data/mined/negatives.parquet").exists()
    for file in ("negatives.parquet", "candidates.parquet", "embeddings"):
        assert (project / "results/data/mined" / file).exists()
        assert not (project / "results/data/given" / file).exists()


def test_the_report_and_the_table_hold_every_score(project):
    page = (project / "results/report/index.html").read_text()
    assert "top70" in page
    assert "toy, en" in page
    assert "http://" not in re.sub(r"http://www\.w3\.org/[\w./]*", "", page)
    with (project / "results/report/results.csv").open() as file:
        rows = list(csv.DictReader(file))
    for mixture in ("uniform", "top70"):
        for benchmark in ("in_domain", "web"):
            scores = json.loads((project / RUN / mixture / "eval" / f"{benchmark}.json").read_text())["datasets"]
            row = next(
                r
                for r in rows
                if (r["mixture"], r["benchmark"], r["dataset"]) == (mixture, benchmark, "(mean)")
                and r["metric"] == "ndcg_at_10"
            )
            expected = np.mean([figures["ndcg_at_10"] for figures in scores.values()])
            assert float(row["score"]) == pytest.approx(expected, abs=1e-6)
    assert "| in domain" in (project / "logs/report/report.log").read_text()


def test_a_folder_of_mkqa_is_evaluated_by_answers_in_anothers_passages(project):
    assert not (project / "results/benchmarks/mkqa").exists(), "its passages are those of the benchmark beir"
    assert not (project / "results/benchmarks/beir/queries.parquet").exists()
    for language in ("ar", "th"):
        figures = json.loads((project / RUN / "uniform/eval" / f"mkqa-{language}.json").read_text())
        (scores,) = figures["datasets"].values()
        assert (scores["queries"], scores["passages"]) == (10, 30)
        assert scores["acc_at_100"] == 1.0
        run = (project / RUN / f"uniform/eval/mkqa-{language}.runs/mkqa-{language}.trec").read_text().splitlines()
        assert len(run) == 10 * 30


def test_untrained_rows_and_leaks_are_in_the_report(project):
    with (project / "results/report/results.csv").open() as file:
        found = {row["model"] for row in csv.DictReader(file) if row["mixture"] == "untrained"}
    assert found == {"bm25", "miner"}
    leaks = read_table(project / "results/leaks.parquet", LEAKS).to_pydict()
    assert set(leaks["dataset"]) == {"mined", "same", "web", "mkqa-ar", "mkqa-th", "known.txt"}
    assert not any(leaks["query_in_query"])
    assert all(leaks["queries"])


def test_another_order_of_tasks_and_benchmarks_reruns_nothing(project):
    registry = yaml.safe_load((project / "registry.yaml").read_text())
    turned = {kind: dict(reversed(entries.items())) for kind, entries in registry.items()}
    (project / "registry.yaml").write_text(yaml.safe_dump(turned, sort_keys=False))
    try:
        assert rules_to_run(project, "--config", "tasks=[same, mined, given]") == set()
    finally:
        (project / "registry.yaml").write_text(yaml.safe_dump(registry))


def test_results_of_another_registry_are_not_replaced(project):
    registry = yaml.safe_load((project / "registry.yaml").read_text())
    registry["tasks"]["mined"]["source"]["path"] = registry["tasks"]["same"]["source"]["path"]
    (project / "other.yaml").write_text(yaml.safe_dump(registry))
    other = ("--config", f"registry={project / 'other.yaml'}")
    said = "holds what was made with the registry registry.yaml; a run with other.yaml would replace it"
    before = (project / "results/data/mined/corpus.parquet").stat().st_mtime_ns
    assert said in " ".join(snakemake(project, "--dry-run", *other).split())
    assert said in " ".join(snakemake(project, *other, check=False).split())
    assert (project / "results/data/mined/corpus.parquet").stat().st_mtime_ns == before


def test_the_papers_tables_have_our_figures(project):
    snakemake(project, "tables")
    text = (project / "results/report/tables.md").read_text()
    assert re.search(r"\| tiny +\| uniform +\| +\| +\| +[\d.]+ \(2 of 25\) /", text)


def test_a_retriever_is_packed_with_its_card(project):
    package = "results/packages/tiny.seed1.top70.tar.gz"
    assert rules_to_run(project, package) == {"export"}
    assert rules_to_run(project, "packages") == {"export", "packages"}
    assert rules_to_run(project, "rows") == {"export_data", "rows"}
    snakemake(project, package)
    with tarfile.open(project / package) as archive:
        card = archive.extractfile("tiny.seed1.top70/README.md").read().decode()
    assert "## How it was trained" in card
    assert "| web |" in card


def test_logs_are_lines_of_ours_and_no_progress_bars(project):
    for stage in ("encode", "search", "select", "train", "optimize", "evaluate", "evaluate_untrained", "leaks"):
        for log in (project / "logs" / stage).glob("*.log"):
            text = log.read_text()
            assert re.search(r"^\d\d:\d\d:\d\d tdro\.", text, re.MULTILINE), log
            assert "\r" not in text, log
            assert "Warning" not in text, log


def test_a_second_run_does_nothing(project):
    assert "Nothing to be done" in snakemake(project)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("tdro={step_size: 0.1}", {"optimize", "derive", "plan", "train", *OF_MODELS, "report"}),
        ("report={title: Another}", {"report"}),
        (
            "evaluation={untrained: [bm25, miner], run_files: true, scatter: 20}",
            {"search_corpus", "score", "report", *OF_MINER} - {"evaluate_untrained"},
        ),
        ("mining={encode: {prompts: {query: 'query: '}}}", {"encode", "search", "select", *AFTER_MINING, *OF_MINER}),
        (
            "training={temperature: 0.1}",
            {"train", "reference", "optimize", "derive", "plan", *OF_MODELS, "report"},
        ),
        (
            "mining={select: {samples: 3}}",
            {"select", *AFTER_MINING},
        ),
    ],
)
def test_a_changed_key_reruns_what_depends_on_it(project, change, expected):
    assert rules_to_run(project, "--config", change) == expected


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("miner/config.json", {"encode", "search", "select", *AFTER_MINING, *OF_MINER}),
        (
            "base/config.json",
            {"train", "reference", "optimize", "derive", "plan", *OF_MODELS, "report"},
        ),
        ("ours.json", {"derive", "plan", "train", *OF_MODELS, "report"}),
        ("given.jsonl", {"prepare_task", *BEHIND_DATA}),
        ("web.jsonl", {"prepare_benchmark", *BEHIND_DATA}),
        ("beir/corpus.jsonl", {"prepare_corpus", "prepare_queries", *BEHIND_DATA}),
        ("mkqa.jsonl", {"prepare_queries", *BEHIND_DATA}),
        ("known.txt", AFTER_MINING),
    ],
)
def test_an_older_file_in_the_place_of_another_reruns_what_read_it(project, tiny_base, file, expected):
    place = tiny_base / "config.json" if file.startswith("base/") else project / file
    kept, times = place.read_bytes(), (place.stat().st_atime, place.stat().st_mtime)
    place.write_bytes(kept + b"\n")
    os.utime(place, (1, 1))
    try:
        assert rules_to_run(project) == expected
    finally:
        place.write_bytes(kept)
        os.utime(place, times)
    assert rules_to_run(project) == set()


def outputs(folder):
    """What miner and evaluations have made, but for when: other tests have touched the miner since."""
    found = [f for f in (folder / "results").rglob("*") if f.is_file() and ".versions" not in f.parts]
    made = [file for file in found if {"embeddings", "eval"} & {*file.parts}]
    return {file.relative_to(folder): _without_times(file) for file in made}


def _without_times(file):
    if file.name != "manifest.json":
        return file.read_bytes()
    return {key: value for key, value in read_json(file).items() if key != "files"}


@pytest.mark.thorough
def test_one_job_for_all_makes_the_files_that_a_job_each_makes(project, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(project, folder, symlinks=True)
    rules = ["encode", "merge_rankings", "evaluate_bm25"]
    rules += [f"{rule}{kind}" for rule in ("search_corpus", "evaluate") for kind in ("", "_untrained")]

    def together(*keys):
        return ["--config", "jobs=one", *keys, "--allowed-rules", *rules]

    before = outputs(folder)
    for file in before:
        (folder / file).unlink()
    targets = [str(file) for file in before if file.name == "mkqa-ar.json"]
    assert len(targets) == 4 + 2  # a mixture each, and the miner and BM25: all other benchmarks come with it
    shutil.rmtree(folder / "logs")
    snakemake(folder, "results/data/same/embeddings", *targets, *together())
    assert outputs(folder) == before
    logs = {rule: sorted(log.stem for log in (folder / "logs" / rule).glob("*.log")) for rule in rules}
    assert logs["encode"] == ["tasks"]
    assert logs["evaluate"] == [f"tiny.seed1.{mixture}" for mixture in ("file-ours", "loss", "top70", "uniform")]
    assert logs["evaluate_untrained"] == ["bm25", "miner"]
    log = (folder / "logs/evaluate/tiny.seed1.uniform.log").read_text()
    assert all(f"tdro.evaluation.evaluate: {name}/" in log for name in ("in_domain", "web", "mkqa-ar", "mkqa-th"))
    assert rules_to_run(folder, *targets, *together("benchmarks=[mkqa, web, in_domain]")) == set()
    assert rules_to_run(folder, *targets, *together("benchmarks=[mkqa, web]")) == {*rules} - {"encode"}


def test_snakemakes_own_report_needs_no_cores(project):
    snakemake(project, "--report", "report.html", cores=None)
    made = (project / "report.html").read_text()
    assert "index.html" in made and "which model to take" in made, "the page with its caption"
    weights = "The share of the training rows that each task gets in the mixture"
    assert re.search(rf"{weights}.{{1,60}}top70", made) and re.search(r'"Weights"', made), "weights by category"


def test_results_of_another_version_are_named_and_left_alone(project):
    output = snakemake(project)
    assert "another version" not in output
    (made,) = (project / "results/.versions/plan").glob("*/version.json")
    kept = made.read_text()
    write_json(made, read_json(made) | {"libraries": {"numpy": "1.0.0"}})
    output = snakemake(project)
    made.write_text(kept)
    assert output.count("Results were made by another version: plan (numpy 1.0.0 (now ") == 1
    assert "--forcerun plan plan_tdro" in output
    assert "Nothing to be done" in output


def test_a_step_size_leaves_the_baseline_alone(project):
    output = snakemake(project, "--dry-run", "--config", "tdro={step_size: 0.1}")
    trained = re.findall(r"Training tiny on ([\w-]+)", output)
    assert sorted(trained) == ["loss", "top70"]


def test_another_mixture_of_the_same_trajectory_trains_nothing(project):
    assert rules_to_run(project, f"{RUN}/weights/top40.json") == {"derive"}
    made = ("top40", "ema", "curr", "shuffled-1")
    snakemake(project, *(f"{RUN}/weights/{mixture}.json" for mixture in made))
    top, _, curr, shuffled = (read_weights(project / RUN / f"weights/{mixture}.json").weights for mixture in made)
    assert len(top) == 1
    assert sorted(curr.values()) == sorted(shuffled.values()) and curr != shuffled
    assert "gets the weight of" in (project / "logs/derive/tiny.seed1.shuffled-1.log").read_text()


def test_a_sweep_and_doremi_reuse_plan_and_reference_losses(project):
    doremi, variant = f"{RUN}/weights/doremi.json", f"{RUN}/weights/curr@ratio-0.5.json"
    sweep = ("--config", "sweep={measure: [ratio], step_size: [0.5]}")
    assert rules_to_run(project, doremi) == {"optimize", "derive"}
    assert rules_to_run(project, variant, *sweep) == {"optimize", "derive"}
    snakemake(project, variant, *sweep)
    learnt = read_weights(project / variant).weights
    assert learnt.keys() > read_weights(project / f"{RUN}/weights/top70.json").weights.keys()


def test_tdro_may_sample_and_start_by_other_mixtures(project):
    change = "tdro={sampling: proportional, initial: temperature2}"
    output = snakemake(project, "--dry-run", f"{RUN}/tdro/trajectory.parquet", "--config", change)
    assert "weights/proportional.json" in output
    assert "weights/temperature2.json" in output
    assert rules_to_run(project, f"{RUN}/tdro/trajectory.parquet", "--config", change) == {
        "derive",
        "plan_tdro",
        "reference",
        "optimize",
    }


def test_a_mixture_of_sizes_needs_no_learning(project):
    mixtures = ("proportional", "temperature2", "unimax3", "random50-1", "longer")
    files = [f"{RUN}/weights/{mixture}.json" for mixture in mixtures]
    assert rules_to_run(project, *files, "--forcerun", "optimize") == {"derive"}
    snakemake(project, *files)
    for file in files:
        assert sum(read_weights(project / file).weights.values()) == pytest.approx(1)


def test_the_same_seed_gives_the_same_weights_byte_for_byte(project):
    path = project / RUN / "weights/top70.json"
    trajectory = project / RUN / "tdro/trajectory.parquet"
    before, steps = path.read_bytes(), trajectory.read_bytes()
    snakemake(project, str(path.relative_to(project)), "--forcerun", "optimize")
    assert path.read_bytes() == before
    assert trajectory.read_bytes() == steps


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("tdro={step_sise: 0.1}", "unknown key `tdro.step_sise`"),
        ("tasks=[mined, typo]", "has no task 'typo'"),
        ("benchmarks=[typo]", "has no benchmark 'typo'"),
        ("proxy=typo", "proxy 'typo' is none of the models: tiny"),
        ("mixtures=[uniform, top0]", "mixtures.1"),
        ("mixtures=[uniform, curr@ratio-0.5]", "names the variant 'ratio-0.5'; `sweep` makes none"),
        ("tdro={initial: curr}", "initial 'curr' is learnt by tDRO itself"),
        ("mining={search: {index: Flatt}}", "faiss knows no index 'Flatt'"),
        ("registry=missing.yaml", "nothing lies at missing.yaml"),
        ("mining={encode: {model: ./no-such-miner}}", "./no-such-miner holds no model"),
    ],
)
def test_a_wrong_configuration_is_one_sentence_before_any_job(project, change, message):
    output = snakemake(project, "--dry-run", "--config", change, check=False)
    assert message in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"query": "red", "positive": "green"}\n{"query": "blue"}\n', "broken.jsonl, line 2"),
        ('{"query": "red", "positive": "green"}\nnot json\n', "broken.jsonl, line 2"),
        ("", "broken.jsonl"),
        (None, "broken.jsonl"),
    ],
)
def test_bad_data_is_one_sentence_and_leaves_nothing(project, tmp_path, content, message):
    broken = tmp_path / "broken.jsonl"
    if content is not None:
        broken.write_text(content)
    registry = yaml.safe_load((project / "registry.yaml").read_text())
    registry["tasks"]["mined"]["source"]["path"] = str(broken)
    config = yaml.safe_load((project / "config.yaml").read_text()) | {"registry": str(tmp_path / "registry.yaml")}
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(registry))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    output = snakemake(tmp_path, "results/data/mined/queries.parquet", check=False)
    errors = [line for line in output.splitlines() if line.startswith("tdro prepare: error:")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in output
    left = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert left == [tmp_path / "results/project.json"]


def test_hub_data_is_fetched_and_then_prepared_offline(project, tmp_path):
    hub = FakeHub()
    hub.repositories["dataset", "org/data"] = {"rows.jsonl": (project / "mined.jsonl").read_bytes()}
    registry = yaml.safe_load((project / "registry.yaml").read_text())
    registry["tasks"]["mined"]["source"] = {"reader": "jsonl", "hub": "org/data", "path": "rows.jsonl"}
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(registry))
    config = yaml.safe_load((project / "config.yaml").read_text()) | {"registry": str(tmp_path / "registry.yaml")}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    try:
        with pytest.MonkeyPatch.context() as patch:
            for key, value in environment.items():
                patch.setenv(key, value)
            snakemake(tmp_path, "fetch_all")
            assert len(list(tmp_path.glob("results/fetched/dataset/org--data.*.json"))) == 1
            hub.stop()
            snakemake(tmp_path, "results/data/mined/queries.parquet")
    finally:
        hub.stop()
    assert (tmp_path / "results/data/mined/queries.parquet").exists()


def test_local_data_needs_no_fetch(project):
    assert "fetch" not in rules_to_run(project, "--forceall")
