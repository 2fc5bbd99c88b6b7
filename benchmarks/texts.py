"""Start-up and memory of the texts of a training: mapped Arrow files, beside whole corpora in each process's memory.

    python benchmarks/texts.py                        # 1,000,000 passages of 80 words, a plan of 20,000 rows; 0.5 GB
    python benchmarks/texts.py --passages 200000 --rows 5000

One task in a temporary folder, and two processes that look up every text of a plan with 7 negatives a row, at once.
`mapped` decodes the texts that the plan names into Arrow files, once, then both processes map them; a resumed training
finds them there (`mapped again`). `whole` decodes the corpus in each process, as ours did before. Start is the time
until both processes have read the texts of the first row; memory is what a process has for itself (anonymous pages,
not those of mapped files) above that before, when all are read.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from hashlib import blake2b
from pathlib import Path

import numpy as np

BLOCK, NEGATIVES, WORDS = 16_384, 7, 80


def main() -> None:
    """Make the data, read it every way, print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=20_000, help="of the plan")
    parser.add_argument("--way", choices=("mapped", "whole"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(_read(options.way, options.folder)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_data(folder, options.passages, options.rows)
        seen = set()
        for title, way in (("whole", "whole"), ("mapped", "mapped"), ("mapped again", "mapped")):
            kept = _keep(folder) if way == "mapped" else 0.0
            runs = _two(way, folder)
            start, memory = kept + max(run["start"] for run in runs), max(run["memory"] for run in runs)
            seen |= {run["texts"] for run in runs}
            print(
                f"{title:12} start {start:5.1f} s, of it decoding once {kept:5.1f} s; private memory {memory:6.0f} MB"
            )
        disk = sum(file.stat().st_size for file in (folder / "kept").rglob("*") if file.is_file())
        same = "the same" if len(seen) == 1 else "OTHER"
        print(f"mapped files {disk / 1e6:.0f} MB; all ways and processes read {same} texts")


def _write_data(folder: Path, passages: int, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    from tdro.artifacts.files import table_writer, write_table
    from tdro.artifacts.schemas import CORPUS, PLAN, QUERIES

    rng = np.random.default_rng(0)
    words = pa.array(["".join(map(chr, rng.integers(97, 123, rng.integers(3, 10)))) for _ in range(20_000)])
    with table_writer(folder / "data" / "task" / "corpus.parquet", CORPUS) as file:
        for start in range(0, passages, BLOCK):
            size = min(BLOCK, passages - start)
            drawn = words.take(pa.array(rng.integers(0, len(words), size * WORDS)))
            texts = pa.ListArray.from_arrays(pa.array(range(0, size * WORDS + 1, WORDS), pa.int32()), drawn)
            ids = [str(row) for row in range(start, start + size)]
            file.append({"passage_id": ids, "title": ["title"] * size, "text": pc.binary_join(texts, " ")})
    ids = [str(row) for row in range(rows)]
    asked = {"query_id": ids, "query": [f"query {row}" for row in ids], "negatives": [[]] * rows}
    write_table(folder / "data" / "task" / "queries.parquet", asked | {"positives": [[0]] * rows}, QUERIES)
    drawn = rng.integers(0, passages, (rows, 1 + NEGATIVES))
    plan = {"step": np.zeros(rows, int), "slot": np.arange(rows), "task": ["task"] * rows, "query": np.arange(rows)}
    write_table(folder / "plan.parquet", plan | {"positive": drawn[:, 0], "negatives": list(drawn[:, 1:])}, PLAN)


def _keep(folder: Path) -> float:
    """Seconds of the main process's part."""
    from tdro.training.kepttexts import keep_texts

    plan, started = _plan(folder), time.perf_counter()
    keep_texts(plan, folder, folder / "kept")
    return time.perf_counter() - started


def _two(way: str, folder: Path) -> list[dict]:
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    return [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]


def _read(way: str, folder: Path) -> dict:
    """Look up every text of the plan; seconds to the first row, private memory in MB, and a digest of the texts."""
    from tdro.artifacts.files import read_table
    from tdro.artifacts.schemas import CORPUS
    from tdro.training.kepttexts import KeptTexts
    from tdro.training.masks import passages_of

    passages = passages_of(_plan(folder))
    before, started, start, digest = _private(), time.perf_counter(), None, blake2b()
    if way == "mapped":
        kept = KeptTexts(folder / "kept", "task", "corpus")
    else:
        table = read_table(folder / "data" / "task" / "corpus.parquet", CORPUS)
        columns = table["title"], table["text"]
    for row in passages.tolist():
        for passage in row:
            title, text = kept[passage] if way == "mapped" else (column[passage].as_py() for column in columns)
            digest.update(f"{title} {text}\n".encode())
        start = start or time.perf_counter() - started
    return {"start": start, "memory": _private() - before, "texts": digest.hexdigest()}


def _plan(folder: Path):
    from tdro.artifacts.files import read_table
    from tdro.artifacts.schemas import PLAN

    return read_table(folder / "plan.parquet", PLAN)


def _private() -> float:
    """Memory of this process that no file backs, and that no other process can share, in MB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1000


if __name__ == "__main__":
    main()
