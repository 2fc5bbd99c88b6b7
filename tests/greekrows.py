"""Datasets of Greek words, and a base that has tokens for them and finds something by itself."""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml
from basemodels import save_static

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def write_rows(path: Path, name: str, rows: int) -> None:
    """JSON lines of a query, its words the other way round as its positive, and two negatives."""
    with path.open("w") as file:
        for n in range(rows):
            said = [WORDS[n % 10], WORDS[n // 10 % 10], WORDS[(3 * n + len(name)) % 10]]
            row = {"query": f"{name} {n} {' '.join(said)}", "positive": f"{' '.join(reversed(said))} {n} {name}"}
            row["negatives"] = [f"{name} no {WORDS[(n + k) % 10]} {n + k}" for k in (1, 2)]
            file.write(json.dumps(row) + "\n")


def write_datasets(folder: Path, tasks: Mapping[str, int], benchmarks: Mapping[str, int], **limits: int) -> None:
    """Rows of so many of each dataset, ``registry.yaml``, and ``base``; the limits are keys of every task."""
    entries = {}
    for name, rows in {**tasks, **benchmarks}.items():
        write_rows(folder / f"{name}.jsonl", name, rows)
        source = {"reader": "jsonl", "path": f"{name}.jsonl"}
        entries[name] = {"language": "en", "instruction": "Find it.", "source": source}
    own = {"category": "toy", "negatives": "provided", **limits}
    registry = {
        "tasks": {name: entries[name] | own for name in tasks},
        "benchmarks": {name: entries[name] for name in benchmarks},
    }
    (folder / "registry.yaml").write_text(yaml.safe_dump(registry))
    save_static(folder / "base")
