"""Time and peak memory of `tdro prepare` on a file of pairs, beside reading the file whole.

    python benchmarks/prepare.py                    # 2,000,000 lines: about 1 GB in a temporary folder, minutes
    python benchmarks/prepare.py --lines 50000

The naive way reads every line with `json` into lists and writes them with pyarrow. It neither cleans
texts nor finds equal ones nor splits, so its time is a lower bound. Each way is a process of its own;
memory is the peak of resident memory that the system reports for it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
HELD_OUT = 10_000
# Words a text: about those of question-answer pairs from the web.
QUERY_WORDS, PASSAGE_WORDS = 9, 65
BLOCK = 10_000


def make_file(path: Path, lines: int) -> None:
    """Pairs of made-up words, common ones more often; every tenth passage answers a second query."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    vocabulary = np.array(["".join(rng.choice(letters, n)) for n in rng.integers(2, 9, 30_000)])
    shares = 1 / np.arange(10, 10 + len(vocabulary))
    shares /= shares.sum()
    with path.open("w") as file:
        for start in range(0, lines, BLOCK):
            rows = min(BLOCK, lines - start)
            words = rng.choice(vocabulary, (rows, QUERY_WORDS + PASSAGE_WORDS), p=shares).tolist()
            lengths = rng.integers(PASSAGE_WORDS // 3, PASSAGE_WORDS, rows)
            for row in range(rows):
                passage = words[row - 1 if row % 10 == 9 else row]
                text = " ".join(passage[QUERY_WORDS : QUERY_WORDS + lengths[row - 1 if row % 10 == 9 else row]])
                file.write(json.dumps({"query": " ".join(words[row][:QUERY_WORDS]), "positive": text}) + "\n")


def read_whole(source: Path, output: Path) -> None:
    """The naive way."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with source.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    output.mkdir()
    for key in ("query", "positive"):
        pq.write_table(pa.table({key: [row[key] for row in rows]}), output / f"{key}.parquet", compression="zstd")


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds and peak resident memory in MB of a command."""
    started = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)})
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.monotonic() - started, usage.ru_maxrss / 1024


def prepare(source: Path, output: Path, held_out: int) -> list[str]:
    """The command that prepares the file."""
    task = {"source": {"reader": "jsonl", "path": str(source)}, "held_out": held_out, "held_out_corpus": 10 * HELD_OUT}
    settings = json.dumps({"task": task})
    return [sys.executable, "-m", "tdro", "prepare", "pairs", "--output", str(output), "--settings", settings]


def compare(lines: int) -> None:
    """Make the file, run every way and print a line each."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "pairs.jsonl"
        make_file(source, lines)
        print(f"{lines:,} lines, {source.stat().st_size / 1e6:,.0f} MB", flush=True)
        naive = [sys.executable, __file__, "--naive", str(source), str(Path(folder) / "naive")]
        held_out = min(HELD_OUT, lines // 10)
        ways = {
            "read whole": naive,
            "tdro prepare": prepare(source, Path(folder) / "plain", 0),
            f"tdro prepare, held_out {held_out}": prepare(source, Path(folder) / "split", held_out),
        }
        measured = []
        for name, command in ways.items():
            measured.append(measure(command))
            (seconds, memory), (first_seconds, first_memory) = measured[-1], measured[0]
            figures = f"{seconds:7.1f} s {lines / seconds:9,.0f} rows/s {memory:7,.0f} MB"
            ratios = f"time x {seconds / first_seconds:.2f}, memory x {memory / first_memory:.2f}"
            print(f"{name:30} {figures}   {ratios}", flush=True)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--naive", type=Path, nargs=2, metavar=("SOURCE", "OUTPUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.naive:
        read_whole(*options.naive)
    else:
        compare(options.lines)


if __name__ == "__main__":
    main()
