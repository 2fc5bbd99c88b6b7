"""Encode, search, rescore and select, on a miner with random weights."""

import importlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tinymodels import WORDS, bert
from waits import waiting

from tdro.artifacts.files import read_counts, read_table, write_table
from tdro.artifacts.schemas import CANDIDATES, CORPUS, NEGATIVES, QUERIES
from tdro.config.commands import Miner
from tdro.config.mining import Encode, Rescore, Search, Select
from tdro.config.models import Encoding
from tdro.errors import UserError
from tdro.mining import encode as encode_stage
from tdro.mining import search as search_stage
from tdro.mining.encode import encode, open_miner
from tdro.mining.rescore import rescore
from tdro.mining.search import search
from tdro.mining.select import select_negatives
from tdro.progress import Progress
from tdro.retrieval import shards as stored
from tdro.retrieval.indices import check_index
from tdro.retrieval.shards import Embeddings, Workspace


@pytest.fixture(scope="module")
def miner(tmp_path_factory):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    folder = tmp_path_factory.mktemp("miner")
    transformer = Transformer(bert(folder, "BertModel"), max_seq_length=32)
    SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu").save(str(folder / "model"))
    return str(folder / "model")


def write_data(folder, passages, queries):
    """Corpus and queries; a passage is (title, text), a query (text, positives)."""
    corpus, asked = folder / "corpus.parquet", folder / "queries.parquet"
    titles, texts = zip(*passages, strict=True) if passages else ((), ())
    write_table(corpus, {"passage_id": [f"p{i}" for i in range(len(texts))], "title": titles, "text": texts}, CORPUS)
    columns = {
        "query_id": [f"q{i}" for i in range(len(queries))],
        "query": [text for text, _ in queries],
        "positives": [positives for _, positives in queries],
        "negatives": [[] for _ in queries],
    }
    write_table(asked, columns, QUERIES)
    return corpus, asked


@pytest.mark.parametrize("form", ["padded", "in a row", "in a bag"])
def test_a_miner_may_tokenise_texts_in_any_form(form, miner, tmp_path, monkeypatch):
    """Attention over padded texts, flash attention, which pads nothing, and static embeddings."""
    from flattening import flatten, pretend_flash_attention
    from sentence_transformers import SentenceTransformer

    if form == "in a bag":
        miner = str(static_model(tmp_path))
    encoder = open_miner(Encode(model=miner, max_length=8, batch_size=4))
    if form == "in a row":
        pretend_flash_attention(monkeypatch)
        flatten(encoder.model)
    texts = [" ".join(WORDS[i : i + 1 + i % 5]) for i in range(10)]
    found, counts = encoder.by_tokens(texts, "query", Progress("encoded", "texts", len(texts)))
    expected = SentenceTransformer(miner, device="cpu")
    if form != "in a bag":
        expected.max_seq_length = 8
    np.testing.assert_allclose(found, expected.encode(texts, normalize_embeddings=True), atol=2e-2)
    assert counts["tokens"] == sum(len(text.split()) for text in texts) + (0 if form == "in a bag" else 2 * len(texts))
    assert (counts["padded"] > counts["tokens"]) == (form == "padded")


def static_model(folder):
    """A static embedding: a vector a word, and no attention."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, **{word: i + 1 for i, word in enumerate(WORDS)}}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    weights = np.random.default_rng(0).normal(size=(len(WORDS) + 1, 8)).astype(np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu").save(str(folder))
    return folder


@pytest.fixture
def data(tmp_path):
    passages = [
        ("red" if i % 3 else "", " ".join(words)) for i, words in enumerate(itertools.permutations(WORDS[3:8], 4))
    ]
    queries = [(" ".join(words), [i, 2 * i + 1]) for i, words in enumerate(itertools.permutations(WORDS[8:13], 2))]
    return passages, queries, *write_data(tmp_path, passages, queries)


def embed(model, texts):
    """Embeddings as sentence-transformers makes them by itself, in float32."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(model, device="cpu").encode(texts, normalize_embeddings=True)


def true_scores(miner, passages, queries, prompt=""):
    texts = [f"{title} {text}".strip() for title, text in passages]
    return embed(miner, [prompt + text for text, _ in queries]) @ embed(miner, texts).T


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Encode in float32 whatever the processor can do, so that scores can be compared."""
    monkeypatch.setattr("tdro.models.precision.supports_bf16", lambda device: False)


def encoded(folder, corpus, asked, **settings):
    assert {corpus.parent, asked.parent} == {folder}
    encode([folder], folder / "checkpoints", Encode(**settings))
    return folder / "embeddings"


def shards(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.npy"))}


@pytest.mark.parametrize("size", [7, 50, 16_384])
def test_shards_hold_what_sentence_transformers_computes(data, miner, tmp_path, size):
    passages, queries, corpus, asked = data
    folder = encoded(tmp_path, corpus, asked, model=miner, prompts={"query": "the "}, shard_size=size, batch_size=5)
    found = Embeddings(folder / "corpus")
    texts = [f"{title} {text}".strip() for title, text in passages]
    expected = embed(miner, texts)
    np.testing.assert_allclose(found.slice(0, len(found)), expected, atol=1e-3)
    rows = np.array([119, 3, 3, 60])
    np.testing.assert_allclose(found.take(rows), expected[rows], atol=1e-3)
    own = Embeddings(folder / "queries").slice(0, len(queries))
    np.testing.assert_allclose(own, embed(miner, [f"the {text}" for text, _ in queries]), atol=1e-3)
    np.testing.assert_allclose(
        own @ found.slice(0, len(found)).T, true_scores(miner, passages, queries, "the "), atol=1e-3
    )
    assert not any((tmp_path / "checkpoints").iterdir())


def test_padding_is_below_five_per_cent_of_the_tokens(miner, tmp_path):
    rng = np.random.default_rng(0)
    texts = [("", " ".join(rng.choice(WORDS, int(n)))) for n in np.clip(rng.lognormal(2, 0.7, 3000), 1, 28)]
    corpus, asked = write_data(tmp_path, texts, [(text, [i]) for i, (_, text) in enumerate(texts[:10])])
    folder = encoded(tmp_path, corpus, asked, model=miner, batch_size=32)
    manifest = Embeddings(folder / "corpus").manifest
    assert manifest["padding"] < 0.05
    assert manifest["tokens"] == sum(len(text.split()) + 2 for _, text in texts)


def launch(folder, settings, *launcher, tasks=None, **environment):
    """`tdro encode` as a process of its own, or several under a launcher; in the folder or for several tasks of it."""
    options = [*map(str, tasks or [folder]), "--checkpoints", str(folder / "checkpoints")]
    command = [*(launcher or [sys.executable]), "-m", "tdro", "encode", *options, "--threads", "1"]
    with (folder / "log").open("w") as log:
        command += ["--settings", json.dumps(settings)]
        return subprocess.Popen(command, stderr=log, stdout=log, env=os.environ | environment)


def test_a_killed_run_goes_on_without_redoing_finished_shards(miner, tmp_path):
    rng = np.random.default_rng(0)
    passages = [("", " ".join(rng.choice(WORDS, 20))) for _ in range(600)]
    write_data(tmp_path, passages, [("red", [0])])
    settings = {"model": miner, "shard_size": 100, "batch_size": 2}
    process = launch(tmp_path, settings, **waiting(tmp_path / "w", "tdro.retrieval.encoder:Encoder.by_tokens", 4))
    while not (tmp_path / "w/waits-1").exists():
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {
        p.name: p.stat().st_mtime_ns for p in (tmp_path / "checkpoints" / tmp_path.name / "corpus").glob("0*.npy")
    }
    assert len(finished) == 3
    assert not (tmp_path / "embeddings").exists()
    assert launch(tmp_path, settings | {"batch_size": 50}).wait() == 0, (tmp_path / "log").read_text()
    assert f"{len(finished)} of 7 shards are there" in (tmp_path / "log").read_text()
    assert {name: (tmp_path / "embeddings/corpus" / name).stat().st_mtime_ns for name in finished} == finished
    assert len(Embeddings(tmp_path / "embeddings/corpus")) == 600


def test_two_processes_make_the_shards_of_one(data, miner, tmp_path):
    passages, queries, *_ = data
    settings = {"model": miner, "shard_size": 25, "batch_size": 8}
    results = []
    accelerate = [str(Path(sys.executable).with_name("accelerate")), "launch", "--config_file"]
    accelerate += [str(Path(__file__).parents[3] / "config/accelerate/ddp.yaml")]
    for processes in ("1", "2"):
        folder = tmp_path / processes
        folder.mkdir()
        write_data(folder, passages, queries)
        status = launch(folder, settings, *accelerate, "--num_processes", processes).wait()
        assert status == 0, (folder / "log").read_text()
        results.append(shards(folder / "embeddings"))
    assert results[0] == results[1]
    assert len(results[0]) == 6


def test_only_what_the_embeddings_depend_on_redoes_shards(tmp_path):
    first = Workspace(tmp_path / "work", {"prompt": "", "texts": "a"})
    first.open()
    first.write(0, np.ones((2, 3), dtype=np.float32), {"tokens": 1, "padded": 1})
    again = Workspace(tmp_path / "work", {"prompt": "", "texts": "a"})
    again.open()
    assert again.has(0)
    other = Workspace(tmp_path / "work", {"prompt": "query: ", "texts": "a"})
    other.open()
    assert not other.has(0)


@pytest.fixture
def tasks(miner, tmp_path):
    """Three small tasks, each in a folder of its own."""
    rng = np.random.default_rng(1)
    folders = []
    for name, number in (("one", 9), ("two", 14), ("three", 5)):
        passages = [("", " ".join(rng.choice(WORDS, 6))) for _ in range(number)]
        folders.append(tmp_path / "together" / name)
        write_data(folders[-1], passages, [("red", [0]), ("cat", [1])])
    return folders


def test_several_tasks_get_what_each_gets_alone_from_one_load_of_the_miner(tasks, miner, tmp_path, monkeypatch):
    settings = Encode(model=miner, shard_size=4, batch_size=3)
    alone = []
    for folder in tasks:
        encode([folder], tmp_path / "c", settings)
        alone.append(shards(folder / "embeddings"))
        shutil.rmtree(folder / "embeddings")
    loads, load = [], encode_stage.open_miner
    monkeypatch.setattr(encode_stage, "open_miner", lambda *arguments: loads.append(1) or load(*arguments))
    encode(tasks, tmp_path / "c", settings)
    assert [shards(folder / "embeddings") for folder in tasks] == alone
    assert len(loads) == 1
    assert not any((tmp_path / "c").iterdir())


def test_a_killed_run_of_several_tasks_keeps_the_shards_of_each(tasks, miner, tmp_path):
    settings = {"model": miner, "shard_size": 4, "batch_size": 3}  # shards: 3 + 1, 4 + 1, 2 + 1
    wait = waiting(tmp_path / "w", "tdro.retrieval.encoder:Encoder.by_tokens", 7)
    process = launch(tmp_path, settings, tasks=tasks, **wait)
    while not (tmp_path / "w/waits-1").exists():
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not any((folder / "embeddings").exists() for folder in tasks)
    assert launch(tmp_path, settings, tasks=tasks).wait() == 0, (tmp_path / "log").read_text()
    said = (tmp_path / "log").read_text()
    assert "6 of 12 shards are there" in said
    # Snakemake removes what a failed job has made, so nothing is moved before all is there.
    assert "one/corpus written" not in said and "three/corpus written" in said
    assert [len(Embeddings(folder / "embeddings/corpus")) for folder in tasks] == [9, 14, 5]


def test_an_error_of_one_of_several_tasks_names_it_and_keeps_the_shards_of_the_others(tasks, tmp_path):
    from safetensors.numpy import load_file, save_file

    model = static_model(tmp_path / "model")
    [weights] = model.rglob("*.safetensors")
    values = load_file(weights)
    values["embedding.weight"][WORDS.index("river") + 1] = np.nan
    save_file(values, weights, metadata={"format": "pt"})
    write_data(tasks[1], [("", "red cat"), ("", "river")], [("red", [0])])
    for folder in (tasks[0], tasks[2]):
        write_data(folder, [("", "red cat")], [("red", [0])])
    settings = Encode(model=str(model))
    with pytest.raises(UserError, match=r"^two/corpus: .*not finite"):
        encode(tasks, tmp_path / "c", settings)
    assert (tmp_path / "c/one/corpus/00000.npy").is_file()
    write_data(tasks[1], [("", "cat")], [("red", [3])])
    with pytest.raises(UserError, match=r"two/queries\.parquet"):
        encode(tasks, tmp_path / "c", settings)


def test_two_folders_of_one_name_are_refused(miner, tmp_path):
    with pytest.raises(UserError, match="two of the folders are named 'same'"):
        encode([tmp_path / "a/same", tmp_path / "b/same"], tmp_path / "c", Encode(model=miner))


@pytest.mark.parametrize("stage", ["mining.encode", "evaluation.encode_corpus"])
def test_shards_of_another_version_are_made_anew(data, miner, tmp_path, monkeypatch, caplog, stage):
    caplog.set_level("INFO", "tdro")
    module = importlib.import_module(f"tdro.{stage}")
    _, _, corpus, _ = data
    folders = (tmp_path / "embeddings", tmp_path / "checkpoints")

    def run():
        if stage == "mining.encode":
            module.encode([tmp_path], folders[1], Encode(model=miner))
        else:
            module.encode_corpus(Miner(model=miner), Encoding(precision="fp32"), corpus, *folders)

    version = module.of_stage
    with monkeypatch.context() as patch:
        patch.setattr(module, "of_stage", lambda name: version(name)._replace(libraries={"torch": "1.0.0"}))
        patch.setattr(Workspace, "publish", lambda *arguments: _stop())
        with pytest.raises(KeyboardInterrupt):
            run()
    run()
    assert any("belongs to a run with other libraries; starting afresh" in line for line in caplog.messages)


def _stop():
    raise KeyboardInterrupt


def made_embeddings(folder, vectors, size=64):
    """A finished folder of given vectors."""
    work = Workspace(folder.with_name(f"{folder.name}-work"), {"prompt": ""})
    work.open()
    pieces = range(0, len(vectors), size)
    for number, start in enumerate(pieces):
        work.write(number, vectors[start : start + size], {"tokens": 1, "padded": 1})
    work.publish(folder, len(pieces), len(vectors), size)


@pytest.fixture
def vectors(tmp_path):
    """Embeddings of 500 passages in 20 clusters, and of 40 queries near one of them."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(20, 16))
    passages = centres[np.arange(500) % 20] + 0.3 * rng.normal(size=(500, 16))
    queries = centres[np.arange(40) % 20] + 0.3 * rng.normal(size=(40, 16))
    passages, queries = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (passages, queries))
    made_embeddings(tmp_path / "e" / "corpus", passages.astype(np.float32))
    made_embeddings(tmp_path / "e" / "queries", queries.astype(np.float32))
    positives = [list(range(i, i + 1 + i % 4)) for i in range(40)]
    files = write_data(tmp_path, [("", f"p {i}") for i in range(500)], [(f"q {i}", p) for i, p in enumerate(positives)])
    return tmp_path / "e", files, positives


@pytest.mark.parametrize(("rows", "queries"), [(500, 40), (33, 7), (1, 40)])
def test_flat_search_in_blocks_is_exact(vectors, tmp_path, monkeypatch, rows, queries):
    folder, files, positives = vectors
    monkeypatch.setattr(stored, "BLOCK_BYTES", rows * 4 * 16)
    monkeypatch.setattr(search_stage, "QUERIES_AT_ONCE", queries)
    search(folder, *files, tmp_path / "out", Search(depth=30))
    wanted, found = (Embeddings(folder / name) for name in ("queries", "corpus"))
    scores = wanted.slice(0, 40) @ found.slice(0, 500).T
    for row in read_table(tmp_path / "out", CANDIDATES).to_pylist():
        own = scores[row["query"]]
        assert row["candidates"] == np.argsort(-own, kind="stable")[: 30 + len(positives[row["query"]])].tolist()
        np.testing.assert_allclose(row["scores"], own[row["candidates"]], atol=1e-6)
        np.testing.assert_allclose(row["positive_scores"], own[positives[row["query"]]], atol=1e-6)


def test_equal_scores_stand_in_the_order_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "BLOCK_BYTES", 3 * 4 * 4)
    made_embeddings(tmp_path / "e" / "corpus", np.ones((8, 4), dtype=np.float32) / 2)
    made_embeddings(tmp_path / "e" / "queries", np.ones((1, 4), dtype=np.float32) / 2)
    files = write_data(tmp_path, [("", f"p {i}") for i in range(8)], [("q", [0])])
    search(tmp_path / "e", *files, tmp_path / "out", Search(depth=20))
    assert read_table(tmp_path / "out", CANDIDATES)["candidates"].to_pylist() == [list(range(8))]


@pytest.mark.parametrize("index", [{"index": "IVF8,Flat", "nprobe": 4}, {"index": "HNSW16", "ef_search": 64}])
@pytest.mark.parametrize("rows", [500, 120])
def test_approximate_indices_find_most_of_what_is_near(vectors, tmp_path, monkeypatch, index, rows):
    folder, files, _ = vectors
    monkeypatch.setattr(stored, "BLOCK_BYTES", rows * 4 * 16)
    found = {}
    for name, settings in (("exact", {}), ("near", index)):
        search(folder, *files, tmp_path / name, Search(depth=10, **settings))
        found[name] = read_table(tmp_path / name, CANDIDATES)["candidates"].to_pylist()
    hits = [len(set(a) & set(b)) / len(a) for a, b in zip(found["exact"], found["near"], strict=True)]
    assert np.mean(hits) > 0.9


def test_an_index_that_faiss_does_not_know_is_named(vectors, tmp_path):
    with pytest.raises(UserError, match=r"mining.search.index.*'Flatt'"):
        check_index(Search(index="Flatt"))
    for known in ("Flat", "IVF4096,Flat", "HNSW32", "IVF64,PQ7"):
        check_index(Search(index=known))
    folder, files, _ = vectors
    with pytest.raises(UserError, match=r"mining.search.index.*cannot be used"):
        search(folder, *files, tmp_path / "out", Search(index="PQ7"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "key"),
    [({"nprobe": 3}, "nprobe"), ({"index": "IVF8,Flat", "ef_search": 8}, "ef_search"), ({"ef_search": 8}, "ef_search")],
)
def test_a_parameter_of_another_index_is_refused_before_any_job(settings, key):
    with pytest.raises(UserError, match=f"`mining.search.{key}` is for an .* remove it"):
        check_index(Search(**settings))


#: Indices that want more passages than a small task has, each for a reason of its own: lists, codes of a quantizer in
#: front, behind or in a graph, a projection, residuals, a graph of at least a hundred.
HUNGRY = ["IVF4096,Flat", "IVF256_HNSW32,Flat", "PQ4", "OPQ4,PQ4", "OPQ4_8,IVF8,PQ4", "HNSW16,PQ4", "PCA8,Flat"]
HUNGRY += ["RQ2x8", "PQ4x4fs", "IVF8,PQ4x4fs", "IVF8,SQ8", "SQ8", "NSG16,Flat"]


@pytest.mark.parametrize("index", [*HUNGRY, "HNSW16"])
@pytest.mark.parametrize("passages", [1, 7, 20])
def test_a_corpus_too_small_for_the_index_is_searched_exactly(index, passages, tmp_path, caplog):
    drawn = np.random.default_rng(0).normal(size=(passages + 3, 16)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    made_embeddings(tmp_path / "e" / "corpus", drawn[:passages])
    made_embeddings(tmp_path / "e" / "queries", drawn[passages:])
    files = write_data(tmp_path, [("", f"p {i}") for i in range(passages)], [("q", [0])] * 3)
    nprobe = 9999 if "IVF" in index else None  # more lists than there are
    search(tmp_path / "e", *files, tmp_path / "out", Search(index=index, depth=30, nprobe=nprobe))
    rows = read_table(tmp_path / "out", CANDIDATES)["candidates"].to_pylist()
    counts = read_counts(tmp_path / "out")
    said = [record.message for record in caplog.records if "the search is exact instead" in record.message]
    exact = "searched exactly, too few passages for the index"
    select_negatives(tmp_path / "out", *files, tmp_path / "negatives", Select(ranks=(0, 9), samples=2))
    assert read_counts(tmp_path / "negatives").get(exact) == counts.get(exact)  # for the report
    if index in HUNGRY:
        assert [len(said), counts[exact]] == [1, 3]
        assert index in said[0]
        assert rows == [np.argsort(-scores, kind="stable").tolist() for scores in drawn[passages:] @ drawn[:passages].T]
    else:
        assert not said and exact not in counts
        assert all(sorted(row) == list(range(passages)) for row in rows)


def test_more_lists_to_look_into_than_there_are_look_into_all(vectors, tmp_path):
    folder, files, _ = vectors
    for name, settings in (("exact", {}), ("all", {"index": "IVF8,Flat", "nprobe": 4096})):
        search(folder, *files, tmp_path / name, Search(depth=10, **settings))
    assert (
        read_table(tmp_path / "all", CANDIDATES)["candidates"]
        == read_table(tmp_path / "exact", CANDIDATES)["candidates"]
    )


def test_embeddings_of_other_data_are_refused(vectors, tmp_path):
    folder, files, _ = vectors
    (tmp_path / "other").mkdir()
    others = write_data(tmp_path / "other", [("", "a"), ("", "b")], [("q", [0])])
    with pytest.raises(UserError, match="encode again"):
        search(folder, *others, tmp_path / "out", Search())
    search(folder, *files, tmp_path / "out", Search())
    with pytest.raises(UserError, match="search again"):
        select_negatives(tmp_path / "out", *others, tmp_path / "negatives", Select())


def mine(folder, corpus, asked, miner, **settings):
    search(encoded(folder, corpus, asked, model=miner), corpus, asked, folder / "candidates", Search(depth=200))
    select_negatives(folder / "candidates", corpus, asked, folder / "out", Select(**settings))
    return read_table(folder / "out", NEGATIVES).to_pylist()


def test_the_margin_is_below_the_lowest_positive(data, miner, tmp_path):
    passages, queries, corpus, asked = data
    mined_rows = mine(tmp_path, corpus, asked, miner, ranks=(0, 120), samples=120, margin=0.1)
    scores = true_scores(miner, passages, queries)
    for row in mined_rows:
        own, positives = scores[row["query"]], set(queries[row["query"]][1])
        lowest = own[list(positives)].min()
        limit = lowest - abs(lowest) * 0.1
        mined = {p for p, score in zip(row["negatives"], row["scores"], strict=True) if score is not None}
        assert set(np.flatnonzero(own < limit - 1e-3).tolist()) - positives <= mined
        assert mined <= set(np.flatnonzero(own < limit + 1e-3).tolist()) - positives
    counts = read_counts(tmp_path / "out")
    assert counts["above the margin"] > 0
    assert counts["candidates"] == len(queries) * len(passages)


def test_queries_with_too_few_are_dropped_and_counted(miner, tmp_path):
    passages = [("", "cat"), ("", "CAT"), ("", "dog"), ("", "bird")]
    corpus, asked = write_data(tmp_path, passages, [("cat", [0]), ("blue", [1]), ("red", [0, 1, 2])])
    rows = mine(tmp_path, corpus, asked, miner, ranks=(0, 9), samples=2, too_few="drop")
    assert [(row["query"], sorted(row["negatives"])) for row in rows] == [(0, [2, 3]), (1, [2, 3])]
    assert read_counts(tmp_path / "out") == {
        "queries": 3,
        "candidates": 12,
        "outside the ranks": 0,
        "positives": 5,
        "say the same": 2,
        "above the margin": 0,
        "above the maximum score": 0,
        "below the minimum score": 0,
        "mined behind the nearest tenth of the corpus": 4,
        "queries filled up": 0,
        "passages filled in": 0,
        "queries kept with too few": 0,
        "queries dropped": 1,
        "queries with no negative": 0,
    }


def test_a_corpus_of_one_passage_gives_empty_lists(miner, tmp_path):
    corpus, asked = write_data(tmp_path, [("", "cat")], [("red", [0]), ("blue", [0])])
    rows = mine(tmp_path, corpus, asked, miner)
    assert [(row["query"], row["negatives"], row["scores"]) for row in rows] == [(0, [], []), (1, [], [])]
    assert read_counts(tmp_path / "out")["queries with no negative"] == 2
    with pytest.raises(UserError, match=r"no query of .*queries\.parquet keeps 16 hard negatives"):
        select_negatives(tmp_path / "candidates", corpus, asked, tmp_path / "dropped", Select(too_few="drop"))
    assert not (tmp_path / "dropped").exists()


def test_selecting_loads_no_model_library():
    code = "import sys, tdro.mining.select; assert not {'torch', 'sentence_transformers', 'faiss'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("gpus", [1, 2])
def test_mining_that_is_told_to_use_the_cpu_leaves_gpus_alone(data, miner, tmp_path, monkeypatch, gpus):
    """On a machine that seems to have GPUs; whoever touched one would fail."""
    import torch
    from accelerate.state import AcceleratorState

    _, queries, corpus, asked = data
    (tmp_path / "judge").mkdir()
    judge = bert(tmp_path / "judge", "BertForSequenceClassification", num_labels=1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        mine(tmp_path, corpus, asked, miner)
        settings = Rescore(model=judge, depth=3, max_length=32)
        rescore(tmp_path / "candidates", corpus, asked, tmp_path / "rescored", settings)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert len(read_table(tmp_path / "rescored", CANDIDATES)) == len(queries)


def test_rescoring_orders_by_the_cross_encoders_score(data, miner, tmp_path):
    from sentence_transformers import CrossEncoder

    passages, queries, corpus, asked = data
    mine(tmp_path, corpus, asked, miner)
    (tmp_path / "judge").mkdir()
    judge = bert(tmp_path / "judge", "BertForSequenceClassification", num_labels=1)
    settings = Rescore(model=judge, depth=12, max_length=32)
    rescore(tmp_path / "candidates", corpus, asked, tmp_path / "rescored", settings)
    model = CrossEncoder(judge, max_length=32)
    texts = [f"{title} {text}".strip() for title, text in passages]

    def score(query, rows):
        return model.predict([(query, texts[row]) for row in rows])

    before = read_table(tmp_path / "candidates", CANDIDATES).to_pylist()
    for row, old in zip(read_table(tmp_path / "rescored", CANDIDATES).to_pylist(), before, strict=True):
        text, positives = queries[row["query"]]
        others = [p for p in old["candidates"] if p not in positives][:12]
        assert set(row["candidates"]) == {*others, *positives}
        assert row["scores"] == sorted(row["scores"], reverse=True)
        np.testing.assert_allclose(
            row["scores"], model.predict([(text, texts[p]) for p in row["candidates"]]), atol=1e-4
        )
        np.testing.assert_allclose(
            row["positive_scores"], model.predict([(text, texts[p]) for p in positives]), atol=1e-4
        )


@pytest.mark.parametrize(
    ("passages", "queries", "message"),
    [
        ([], [("red", [0])], r"corpus\.parquet has no rows"),
        ([("", "cat")], [], r"queries\.parquet has no rows"),
        ([("", "cat")], [("red", [0]), ("blue", [])], r"query 'q1' of .* has no positive"),
        ([("", "cat")], [("red", [0, 3])], r"query 'q0' of .* has positive 3, but .* has rows 0 to 0"),
    ],
)
def test_unusable_data_is_refused_before_the_model_is_loaded(tmp_path, passages, queries, message):
    corpus, asked = write_data(tmp_path, passages, queries)
    with pytest.raises(UserError, match=message):
        encoded(tmp_path, corpus, asked, model="/nonexistent")


def test_a_miner_that_is_not_there_is_named(tmp_path):
    corpus, asked = write_data(tmp_path, [("", "cat")], [("red", [0])])
    with pytest.raises(UserError, match="nonexistent"):
        encoded(tmp_path, corpus, asked, model="/nonexistent")


def test_cut_texts_are_counted_up_to_the_negatives_that_the_report_reads(miner, tmp_path):
    """Of 8 words, [CLS] and [SEP] included, more is cut; what just fits is not."""
    long, fits = " ".join(WORDS[:7]), " ".join(WORDS[:6])
    corpus, asked = write_data(tmp_path, [("", long), ("", fits), ("", "red"), ("", "cat")], [(long, [2]), (fits, [3])])
    encode([tmp_path], tmp_path / "checkpoints", Encode(model=miner, max_length=8, shard_size=3, batch_size=2))
    found = [Embeddings(tmp_path / "embeddings" / side).manifest["cut"] for side in ("corpus", "queries")]
    assert found == [1, 1]
    search(tmp_path / "embeddings", corpus, asked, tmp_path / "candidates", Search(depth=3))
    choice = Select(ranks=(0, 3), samples=1)
    select_negatives(tmp_path / "candidates", corpus, asked, tmp_path / "negatives", choice)
    counts = read_counts(tmp_path / "negatives")
    assert counts["passages cut by the miner"] == counts["queries cut by the miner"] == 1


def test_a_cross_encoders_sigmoid_may_be_left_out(data, miner, tmp_path):
    """Its scores are then those of the last layer, which a training may distil."""
    _, _, corpus, asked = data
    mine(tmp_path, corpus, asked, miner)
    (tmp_path / "judge").mkdir()
    judge = bert(tmp_path / "judge", "BertForSequenceClassification", num_labels=1)
    found = {}
    for activation in ("own", "none"):
        settings = Rescore(model=judge, depth=4, max_length=32, activation=activation)
        rescore(tmp_path / "candidates", corpus, asked, tmp_path / activation, settings)
        found[activation] = read_table(tmp_path / activation, CANDIDATES)
    for column in ("scores", "positive_scores"):
        own, raw = (np.concatenate(found[kind][column].to_pylist()) for kind in ("own", "none"))
        np.testing.assert_allclose(own, 1 / (1 + np.exp(-raw)), atol=1e-5)
    assert raw.min() < 0 or raw.max() > 1
