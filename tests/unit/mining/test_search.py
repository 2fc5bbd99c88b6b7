import logging
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from minings import made_embeddings, write_data
from ours import write_sealed

from tdro.artifacts.files import read_counts, read_json, read_table, write_json
from tdro.artifacts.schemas import CANDIDATES
from tdro.artifacts.sums import crc
from tdro.config.mining import Search, Select
from tdro.errors import UserError
from tdro.mining import search as search_stage
from tdro.mining.search import search
from tdro.mining.select import select_negatives
from tdro.retrieval import shards as stored
from tdro.retrieval.indices import check_index
from tdro.retrieval.nearest import Finder
from tdro.retrieval.shards import Embeddings


@pytest.mark.parametrize(("rows", "queries"), [(500, 40), (33, 7), (1, 40)])
def test_flat_search_in_blocks_is_exact(vectors, tmp_path, monkeypatch, rows, queries):
    folder, files, positives = vectors
    monkeypatch.setattr(stored, "BLOCK_BYTES", rows * 4 * 16)
    monkeypatch.setattr(search_stage, "QUERIES_AT_ONCE", queries)
    search(folder, *files, tmp_path / "out", tmp_path / "kept", Search(depth=30))
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
    search(tmp_path / "e", *files, tmp_path / "out", tmp_path / "kept", Search(depth=20))
    assert read_table(tmp_path / "out", CANDIDATES)["candidates"].to_pylist() == [list(range(8))]


@pytest.mark.parametrize("index", [{"index": "IVF8,Flat", "nprobe": 4}, {"index": "HNSW16", "ef_search": 64}])
@pytest.mark.parametrize("rows", [500, 120])
def test_approximate_indices_find_most_of_what_is_near(vectors, tmp_path, monkeypatch, index, rows):
    folder, files, _ = vectors
    monkeypatch.setattr(stored, "BLOCK_BYTES", rows * 4 * 16)
    found = {}
    for name, settings in (("exact", {}), ("near", index)):
        search(folder, *files, tmp_path / name, tmp_path / "kept", Search(depth=10, **settings))
        found[name] = read_table(tmp_path / name, CANDIDATES)["candidates"].to_pylist()
    hits = [len(set(a) & set(b)) / len(a) for a, b in zip(found["exact"], found["near"], strict=True)]
    assert np.mean(hits) > 0.9


@pytest.mark.parametrize("index", ["IVF8,Flat", "HNSW16"])
def test_an_index_is_built_once_and_its_search_may_change(vectors, tmp_path, monkeypatch, index):
    folder, files, _ = vectors
    kept = folder / "corpus"
    monkeypatch.setattr(stored, "BLOCK_BYTES", 120 * 4 * 16)
    monkeypatch.setattr(search_stage, "QUERIES_AT_ONCE", 15)
    wide = {"nprobe": 8} if "IVF" in index else {"ef_search": 500}
    found, times = {}, []
    for name, settings in (("narrow", {}), ("wide", wide), ("again", {})):
        search(folder, *files, tmp_path / name, tmp_path / "kept", Search(index=index, depth=10, **settings))
        found[name] = read_table(tmp_path / name, CANDIDATES)
        times.append({file: file.stat().st_mtime_ns for file in kept.glob("index-*/*.faiss")})
    assert sorted(int(file.stem) for file in times[0]) == [0, 120, 240, 360, 480]
    assert times[0] == times[1] == times[2]
    assert found["narrow"].equals(found["again"])
    if "IVF" in index:  # one list of eight against all
        assert not found["wide"].equals(found["narrow"])
    search(folder, *files, tmp_path / "exact", tmp_path / "kept", Search(depth=10))
    assert found["wide"]["candidates"] == read_table(tmp_path / "exact", CANDIDATES)["candidates"]
    search(folder, *files, tmp_path / "other", tmp_path / "kept", Search(index="HNSW8", depth=10))
    assert not set(kept.glob("index-*/*.faiss")) & set(times[0]), "another index has taken its place"


def test_a_killed_search_loses_the_block_of_queries_that_it_was_at(vectors, tmp_path, monkeypatch):
    folder, files, _ = vectors
    monkeypatch.setattr(search_stage, "QUERIES_AT_ONCE", 12)  # four blocks, the last one smaller
    search(folder, *files, tmp_path / "whole", tmp_path / "kept", Search(depth=10))
    best, asked = Finder.best, []

    def dying(self, vectors, depth):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(len(vectors))
        return best(self, vectors, depth)

    monkeypatch.setattr(Finder, "best", dying)
    with pytest.raises(KeyboardInterrupt):
        search(folder, *files, tmp_path / "out", tmp_path / "kept", Search(depth=10))
    assert asked == [12, 12] and not (tmp_path / "out").exists()
    monkeypatch.setattr(Finder, "best", lambda self, *args: asked.append(len(args[0])) or best(self, *args))
    search(folder, *files, tmp_path / "out", tmp_path / "kept", Search(depth=10))
    assert asked == [12, 12, 12, 4]
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("other", ["settings", "embeddings", "queries"])
def test_blocks_of_another_search_are_thrown_away(vectors, tmp_path, monkeypatch, other, caplog):
    folder, files, _ = vectors
    monkeypatch.setattr(search_stage, "QUERIES_AT_ONCE", 12)
    monkeypatch.setattr(search_stage, "_publish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        search(folder, *files, tmp_path / "out", tmp_path / "kept", Search(depth=10))
    monkeypatch.undo()
    settings = Search(depth=11 if other == "settings" else 10)
    if other == "embeddings":
        os.utime(folder / "queries/00000.npy", (0, 0))
    elif other == "queries":
        table = pq.read_table(files[1])
        write_sealed(files[1], table.set_column(0, "query_id", [[f"other {i}" for i in range(len(table))]]))
    with caplog.at_level(logging.INFO):
        search(folder, *files, tmp_path / "out", tmp_path / "kept", settings)
    assert f"with other {other}" in caplog.text and "blocks of queries are there" not in caplog.text


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="needs Linux")
@pytest.mark.parametrize("index", ["IVF8,Flat", "HNSW16"])
def test_a_kept_index_is_mapped_and_not_read(vectors, index):
    passages = Embeddings(vectors[0] / "corpus")
    finder = Finder(passages, Search(index=index))
    finder.best(passages.slice(0, 3), 5)
    (file,) = passages.folder.glob("index-*/0.faiss")
    assert str(file) in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_an_index_that_faiss_does_not_know_is_named(vectors, tmp_path):
    with pytest.raises(UserError, match=r"mining.search.index.*'Flatt'"):
        check_index(Search(index="Flatt"))
    for known in ("Flat", "IVF4096,Flat", "HNSW32", "IVF64,PQ7"):
        check_index(Search(index=known))
    folder, files, _ = vectors
    with pytest.raises(UserError, match=r"mining.search.index.*cannot be used"):
        search(folder, *files, tmp_path / "out", tmp_path / "kept", Search(index="PQ7"))
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
    search(tmp_path / "e", *files, tmp_path / "out", tmp_path / "kept", Search(index=index, depth=30, nprobe=nprobe))
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
        search(folder, *files, tmp_path / name, tmp_path / "kept", Search(depth=10, **settings))
    assert (
        read_table(tmp_path / "all", CANDIDATES)["candidates"]
        == read_table(tmp_path / "exact", CANDIDATES)["candidates"]
    )


def test_embeddings_of_other_data_are_refused(vectors, tmp_path):
    folder, files, _ = vectors
    (tmp_path / "other").mkdir()
    others = write_data(tmp_path / "other", [("", "a"), ("", "b")], [("q", [0])])
    with pytest.raises(UserError, match="encode again"):
        search(folder, *others, tmp_path / "out", tmp_path / "kept", Search())
    search(folder, *files, tmp_path / "out", tmp_path / "kept", Search())
    with pytest.raises(UserError, match="search again"):
        select_negatives(tmp_path / "out", *others, tmp_path / "negatives", Select())


@pytest.mark.parametrize("side", ["corpus", "queries"])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_refused(vectors, tmp_path, side, number):
    folder, files, _ = vectors
    shard = folder / side / "00000.npy"
    found = np.load(shard)
    found[3, 5] = number
    shard.unlink()  # another file, as the one before may be mapped
    np.save(shard, found)
    manifest = shard.with_name("manifest.json")
    write_json(manifest, read_json(manifest) | {"crc32": [crc(shard), *read_json(manifest)["crc32"][1:]]})
    with pytest.raises(UserError, match=f"e/{side} holds embeddings that are not finite; delete the folder and encode"):
        search(folder, *files, tmp_path / "out", tmp_path / "kept", Search())
    assert not (tmp_path / "out").exists()
