"""Memory and time of `tdro search`, beside a faiss index that holds the whole corpus.

    python benchmarks/search.py                    # 1,000,000 x 384, 2,000 queries; 0.8 GB in a temporary folder
    python benchmarks/search.py --queries 20000 --sides tdro faiss "tdro torch"
    python benchmarks/search.py --passages 100000 --queries 20000 --block 64

The embeddings are made for the run: unit vectors around 1,000 centres, a query near each of some passages. `tdro`
searches the float16 shards exactly (`Flat`), block by block, with faiss also where there is a GPU; `faiss` loads them
as float32 into one `IndexFlatIP`; `tdro torch` is what a GPU searches with, on torch's CPU device; `tdro IVF` is the
same stage with `IVF1024,Flat` and 32 probes, `tdro HNSW` with `HNSW16`; `again` finds the index that the one before has
built. Each is a process of its own; seconds are told of the clock and of the processors. Memory is the peak of
resident memory above that of the process after its imports, memory-mapped pages included.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DIMENSION, DEPTH, SHARD = 384, 100, 16_384


def main() -> None:
    """Make the data, run every side, print the comparison."""
    options = _arguments()
    if options.side:
        print(json.dumps(_run_side(options.side, Path(options.folder), options.block)))
        return
    with tempfile.TemporaryDirectory() as folder:
        _write_data(Path(folder), options.passages, options.queries)
        sides = {name: _subprocess(name, folder, options.block) for name in options.sides}
        found = {name: np.load(Path(folder) / f"{name}.npy") for name in options.sides}
    whole = sides["faiss"]
    for name, side in sides.items():
        print(
            f"{name}: {side['seconds']:.1f} s, of the processors {side['cpu']:.1f} s, {side['memory_mb']:.0f} MB above "
            f"the imports; against faiss {side['seconds'] / whole['seconds']:.2f}x the time, "
            f"{side['cpu'] / whole['cpu']:.2f}x of the processors, {side['memory_mb'] / whole['memory_mb']:.2f}x the "
            f"memory; {100 * _overlap(found[name], found['faiss']):.2f} % of its {DEPTH} nearest"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--block", type=int, default=256, help="MB of the corpus searched at a time")
    parser.add_argument("--sides", nargs="+", choices=_SIDES, default=list(_SIDES), help="faiss must be among them")
    parser.add_argument("--side", choices=_SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def _subprocess(side: str, folder: str, block: int) -> dict:
    command = [sys.executable, __file__, "--side", side, "--folder", folder, "--block", str(block)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def _overlap(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, exact, strict=True)]))


def _write_data(folder: Path, passages: int, queries: int) -> None:
    from tdro.artifacts.files import table_writer, write_table
    from tdro.artifacts.schemas import CORPUS, QUERIES

    rng = np.random.default_rng(0)
    centres = rng.standard_normal((1000, DIMENSION), dtype=np.float32)

    def vectors(rows: int):
        return _unit(centres[rng.integers(0, 1000, rows)] + rng.standard_normal((rows, DIMENSION), dtype=np.float32))

    _write_embeddings(folder / "embeddings" / "corpus", passages, vectors)
    first = np.load(folder / "embeddings" / "corpus" / "00000.npy").astype(np.float32)
    asked = rng.integers(0, len(first), queries)
    noise = rng.standard_normal((queries, DIMENSION), dtype=np.float32) / 40
    near = iter(np.array_split(_unit(first[asked] + noise), range(SHARD, queries, SHARD)))
    _write_embeddings(folder / "embeddings" / "queries", queries, lambda rows: next(near))
    with table_writer(folder / "corpus.parquet", CORPUS) as file:
        for start in range(0, passages, SHARD):
            ids = [str(row) for row in range(start, min(start + SHARD, passages))]
            file.append({"passage_id": ids, "title": [""] * len(ids), "text": ids})
    columns = {
        "query_id": [str(row) for row in range(queries)],
        "query": [str(row) for row in range(queries)],
        "positives": [[int(row)] for row in asked],
        "negatives": [[] for _ in range(queries)],
    }
    write_table(folder / "queries.parquet", columns, QUERIES)


def _write_embeddings(folder: Path, rows: int, vectors) -> None:
    from tdro.retrieval.shards import Workspace

    workspace = Workspace(folder.with_name(f"{folder.name}-shards"), {"made": "at random"})
    workspace.open()
    sizes = [min(SHARD, rows - start) for start in range(0, rows, SHARD)]
    for number, size in enumerate(sizes):
        workspace.write(number, vectors(size), {"tokens": size, "padded": size})
    workspace.publish(folder, len(sizes), rows, SHARD)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _ours(folder: Path, name: str, **settings) -> np.ndarray:
    from tdro.config.mining import Search
    from tdro.mining.search import search

    files = (folder / "embeddings", folder / "corpus.parquet", folder / "queries.parquet", folder / f"{name}.parquet")
    search(*files, folder / f"{name}-kept", Search(depth=DEPTH, **settings))
    import pyarrow.parquet as pq

    lists = pq.read_table(files[-1], columns=["candidates"])["candidates"]
    return np.array([row[:DEPTH] for row in lists.to_pylist()])


def _whole(folder: Path, name: str) -> np.ndarray:
    import faiss

    from tdro.retrieval.shards import Embeddings

    index = faiss.IndexFlatIP(DIMENSION)
    passages = Embeddings(folder / "embeddings" / "corpus")
    for start, end in passages.bounds():
        index.add(passages.slice(start, end))
    queries = Embeddings(folder / "embeddings" / "queries")
    return index.search(queries.slice(0, len(queries)), DEPTH)[1]


def _torch(folder: Path, name: str) -> np.ndarray:
    import torch

    from tdro.retrieval import nearest

    nearest.on_cpu, nearest.device = lambda: False, lambda: torch.device("cpu")
    return _ours(folder, name)


def _inverted(folder: Path, name: str) -> np.ndarray:
    return _ours(folder, name, index="IVF1024,Flat", nprobe=32)


def _graph(folder: Path, name: str) -> np.ndarray:
    return _ours(folder, name, index="HNSW16", ef_search=128)


_SIDES = {
    "tdro": _ours,
    "faiss": _whole,
    "tdro torch": _torch,
    "tdro IVF": _inverted,
    "tdro IVF again": _inverted,
    "tdro HNSW": _graph,
    "tdro HNSW again": _graph,
}


def _run_side(side: str, folder: Path, block: int) -> dict:
    os.environ["ACCELERATE_USE_CPU"] = "true"
    import faiss  # noqa: F401 (so that all sides start from the same imports)
    import torch  # noqa: F401

    import tdro.mining.search  # noqa: F401
    from tdro.retrieval import shards

    shards.BLOCK_BYTES = block * 2**20

    resident = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    before, started, worked = int(resident.split()[1]), time.monotonic(), time.process_time()
    rows = _SIDES[side](folder, side)
    seconds, cpu = time.monotonic() - started, time.process_time() - worked
    np.save(folder / f"{side}.npy", rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "cpu": cpu, "memory_mb": (peak - before) / 1024}


if __name__ == "__main__":
    main()
