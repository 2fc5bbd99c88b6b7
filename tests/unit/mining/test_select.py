"""Encode, search and select, one after the other; what is selected of given candidates is test_filters' part."""

import subprocess
import sys

import numpy as np
import pytest
from minings import mine, true_scores, write_data
from tinymodels import WORDS

from tdro.artifacts.files import read_counts
from tdro.config.mining import Encode, Search, Select
from tdro.errors import UserError
from tdro.mining.encode import encode
from tdro.mining.search import search
from tdro.mining.select import select_negatives
from tdro.retrieval.shards import Embeddings


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


def test_cut_texts_are_counted_up_to_the_negatives_that_the_report_reads(miner, tmp_path):
    """Of 8 words, [CLS] and [SEP] included, more is cut; what just fits is not."""
    long, fits = " ".join(WORDS[:7]), " ".join(WORDS[:6])
    corpus, asked = write_data(tmp_path, [("", long), ("", fits), ("", "red"), ("", "cat")], [(long, [2]), (fits, [3])])
    encode([tmp_path], tmp_path / "checkpoints", Encode(model=miner, max_length=8, shard_size=3, batch_size=2))
    found = [Embeddings(tmp_path / "embeddings" / side).manifest["cut"] for side in ("corpus", "queries")]
    assert found == [1, 1]
    search(tmp_path / "embeddings", corpus, asked, tmp_path / "candidates", tmp_path / "kept", Search(depth=3))
    choice = Select(ranks=(0, 3), samples=1)
    select_negatives(tmp_path / "candidates", corpus, asked, tmp_path / "negatives", choice)
    counts = read_counts(tmp_path / "negatives")
    assert counts["passages cut by the miner"] == counts["queries cut by the miner"] == 1
