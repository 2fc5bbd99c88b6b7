"""Memory and time of every rule up to the learnt weights, by rows a task: whether memory is flat in the rows.

    python benchmarks/load.py                                      # ten tasks of 1,000 and of 10,000 rows, in ./load
    python benchmarks/load.py FOLDER --tasks 100 --rows 1000 10000 100000
    python benchmarks/load.py FOLDER --tasks 100 --rows 100000 --runs 0        # print what is there, run nothing

Texts are made of random words. Miner and base are one static embedding, a vector of 16 numbers a word, so that time is
that of the data and not of a network; trainings take few steps. Snakemake runs the DAG itself, on one core, and its
benchmark files are what is printed: the largest `max_rss` of a rule's jobs, which Snakemake looks at every half second
in a job's first 15 seconds and every 30 seconds later, and the seconds of all its jobs.

A size has a folder of its own, FOLDER/100x10000 for example. The same command goes on where a killed run has stopped;
nothing is deleted. 100 tasks of 100,000 rows take 12 GB of disk.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from tdro.artifacts.files import replacing
from tdro.artifacts.layout import Layout

ROOT = Path(__file__).parents[1]
#: Where the benchmark files of the rules lie below `logs/`, in the order of the data.
FILES = {rule: f"{rule}/*.tsv" for rule in ("prepare_task", "encode", "search", "select", "dedup")} | {
    "uniform_weights": "derive/*.uniform.tsv",
    "plan": "plan/*.uniform.tsv",
    "train": "train/*.tsv",
    "plan_tdro": "plan/*.tdro.tsv",
    "reference": "reference/*.tsv",
    "optimize": "optimize/*.tsv",
    "derive": "derive/*.curr.tsv",
}
WORDS, DIMENSIONS, MODEL, SEED = 20_000, 16, "static", 1


#: Jobs of a rule, seconds of all of them, and the largest memory of one in MB; None where all were too short to look.
Measured = tuple[int, float, float | None]


def main() -> None:
    """Make what is missing, run what is to be run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("load"))
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000], help="of a task")
    parser.add_argument("--runs", type=int, choices=(0, 1), default=1, help="0 prints what is there")
    options = parser.parse_args()
    found = {}
    for rows in options.rows:
        folder = options.folder.resolve() / f"{options.tasks}x{rows}"
        if options.runs:
            make(folder, options.tasks, rows)
            run(folder)
        found[rows] = dict(_measured(folder))
    print("\n".join(_table(options.tasks, found)))


def make(folder: Path, tasks: int, rows: int) -> None:
    """Write what is missing of data, model, registry and configuration."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(random.choice(letters, random.integers(3, 9))) for _ in range(WORDS)])
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "model").exists():
        _save_model(folder / "model", words)
    entries = {}
    for number in range(tasks):
        name = f"task{number}"
        source = {"reader": "jsonl", "path": f"{name}.jsonl"}
        entries[name] = {"category": "made", "held_out": 10, "language": "en", "instruction": "Find.", "source": source}
        if not (file := folder / source["path"]).exists():
            _write_rows(file, words, rows, number)
    (folder / "registry.yaml").write_text(yaml.safe_dump({"tasks": entries, "benchmarks": {}}))
    (folder / "config.yaml").write_text(yaml.safe_dump(_configuration(tasks, rows)))


def _save_model(folder: Path, words: np.ndarray) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(dict.fromkeys(words))}, unk_token=words[0]))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    vectors = np.random.default_rng(1).normal(size=(tokenizer.get_vocab_size(), DIMENSIONS)).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=vectors)
    SentenceTransformer(modules=[module], device="cpu").save_pretrained(str(folder))


def _write_rows(file: Path, words: np.ndarray, rows: int, number: int) -> None:
    """Queries of eight words; an answer says four of them and eight others."""
    random = np.random.default_rng([2, number])
    with replacing(file) as temporary, temporary.open("w") as lines:
        for start in range(0, rows, 10_000):
            drawn = words[random.integers(0, len(words), (min(10_000, rows - start), 16))].tolist()
            for row in drawn:
                lines.write(json.dumps({"query": " ".join(row[:8]), "positive": " ".join(row[4:])}) + "\n")


def _configuration(tasks: int, rows: int) -> dict:
    """Ten steps of a training, as many of tDRO with a row of each task."""
    steps = {"steps": 10, "warmup_steps": 1}
    # A list of the index has some hundred passages.
    lists = max(4, min(rows // 40, int(rows**0.5)))
    return {
        "registry": "registry.yaml",
        "models": [{"name": MODEL, "base": "model"}],
        "proxy": MODEL,
        "seeds": [SEED],
        "mixtures": ["uniform", "curr"],
        "benchmarks": ["in_domain"],
        "jobs": "one",
        "mining": {
            "encode": {"model": "model"},
            "search": {"index": f"IVF{lists},Flat", "nprobe": 2, "depth": 50},
        },
        "training": steps | {"batch_size": 32},
        "tdro": steps | {"batch_size": max(32, tasks), "accumulation": 1},
    }


def run(folder: Path) -> None:
    """Snakemake on one core, up to the learnt weights."""
    weights = Layout("results").weights(MODEL, str(SEED), "curr")
    line = ["-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", "config.yaml", "--cores", "1"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *line, weights], cwd=folder, env=environment, check=True)


def _measured(folder: Path) -> Iterator[tuple[str, Measured]]:
    """What each rule that has run took."""
    for rule, files in FILES.items():
        rows = []
        for file in (folder / "logs").glob(files):
            with file.open() as lines:
                rows += csv.DictReader(lines, delimiter="\t")
        if rows:
            seconds = sum(float(row["s"]) for row in rows)
            seen = [float(row["max_rss"]) for row in rows if float(row["s"]) > 1]
            yield rule, (len(rows), seconds, max(seen, default=None))


def _table(tasks: int, found: dict[int, dict[str, Measured]]) -> Iterator[str]:
    """Markdown: seconds, then memory, of a rule; what has not run is left out."""
    titles = [f"{unit}, {tasks} x {rows:,}" for unit in ("s", "MB") for rows in found]
    yield f"| rule | jobs | {' | '.join(titles)} |"
    yield "|---|" + "--:|" * (1 + len(titles))
    for rule in FILES:
        known = [sizes.get(rule) for sizes in found.values()]
        jobs = max((one[0] for one in known if one), default=0)
        cells = [f"{one[unit]:,.0f}" if one and one[unit] else "" for unit in (1, 2) for one in known]
        yield f"| {rule} | {jobs} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
