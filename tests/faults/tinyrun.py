"""A run that passes every rule between data and report in a minute or two: what it reads, and what it leaves."""

import json
import os
from pathlib import Path

import numpy as np
import yaml
from basemodels import save_embedder
from greekrows import WORDS, write_rows
from tinymodels import save_words

#: The rules that it passes and that start a process; `choosing` has the others. `prepared` and others start none.
RULES = [
    "base",
    "dedup",
    "derive",
    "dev_pool",
    "encode",
    "evaluate",
    "evaluate_bm25",
    "evaluate_untrained",
    "leaks",
    "merge",
    "merge_rankings",
    "optimize",
    "plan",
    "plan_tdro",
    "prepare_benchmark",
    "prepare_corpus",
    "prepare_queries",
    "prepare_task",
    "reference",
    "report",
    "score",
    "score_untrained",
    "search",
    "search_corpus",
    "search_corpus_untrained",
    "select",
    "soup_scores",
    "train",
    "uniform_weights",
]
#: Says where and when chance strikes.
SEED = int(os.environ.get("FAULTS_SEED", "7"))
RUN = "results/tiny/seed1"
#: Languages of the questions.
PARTS = ["ar", "th"]
#: Few steps, each of them a checkpoint.
STEPS = {"batch_size": 4, "negatives": 1, "warmup_steps": 1, "learning_rate": 0.01, "save_steps": 2, "log_steps": 1}


def write_project(folder: Path) -> Path:
    """A task that is mined, one that has its negatives, a benchmark of rows, and one whose corpus is searched ahead.

    Args:
        folder: Gets the data, a base, a miner, `registry.yaml` and `config.yaml`.
    """
    for name, rows in (("mined", 40), ("given", 30), ("web", 12)):
        write_rows(folder / f"{name}.jsonl", name, rows)
    rng = np.random.default_rng(0)
    save_embedder("bert", folder / "base", pooling="mean", length=64)
    save_words(folder / "miner", {word: rng.normal(size=8) for word in WORDS})
    (folder / "registry.yaml").write_text(yaml.safe_dump({"tasks": _tasks(), "benchmarks": _benchmarks(folder)}))
    config = {
        "registry": "registry.yaml",
        "benchmarks": ["web", "mkqa"],
        "models": [{"name": "tiny", "base": "./base"}],
        "proxy": "tiny",
        "seeds": [1],
        "mixtures": ["uniform", "top70", "soup-two"],
        "soups": {"two": {"of": ["uniform", "top70"], "base": "dev", "shares": [0.5, 1]}},
        "dev": ["dev_rows"],
        "mining": {"encode": {"model": "./miner"}, "select": {"ranks": [0, 20], "samples": 2}},
        "encoding": {"query_length": 64, "passage_length": 64, "precision": "fp32"},
        "evaluation": {"untrained": ["bm25", "base"], "scatter": 20},
        "training": STEPS | {"steps": 6},
        "tdro": STEPS | {"steps": 4, "accumulation": 2},
        "report": {"bootstrap_samples": 100},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def _entry(path: str, reader: str = "jsonl") -> dict:
    return {"language": "en", "instruction": "Find it.", "source": {"reader": reader, "path": path}}


def _tasks() -> dict:
    of_each = {"mined": {"held_out": 3, "dev": 6}, "given": {"negatives": "provided"}}
    return {name: _entry(f"{name}.jsonl") | {"category": "toy"} | keys for name, keys in of_each.items()}


def _benchmarks(folder: Path) -> dict:
    """Rows; and questions whose answers stand in the passages of another benchmark."""
    (folder / "beir").mkdir()
    with (folder / "beir/corpus.jsonl").open("w") as file:
        for n in range(30):
            file.write(json.dumps({"_id": f"p{n}", "title": "", "text": f"{WORDS[n % 10]} answer{n}"}) + "\n")
    with (folder / "mkqa.jsonl").open("w") as file:
        for n in range(8):
            answers = {"en": [{"type": "entity", "entity": None, "text": f"answer{n}"}]}
            file.write(
                json.dumps(
                    {"example_id": n, "queries": {part: f"{part} {WORDS[n]}" for part in PARTS}, "answers": answers}
                )
                + "\n"
            )
    asked = {"parts": PARTS, "corpus": "beir"}
    return {"web": _entry("web.jsonl"), "beir": _entry("beir", "beir"), "mkqa": _entry("mkqa.jsonl", "mkqa") | asked}
