"""Embeddings of fewer bits against rankings by hand, and whole ones against ``tdro evaluate``."""

import json

import numpy as np
import pytest

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import CORPUS, QUERIES
from tdro.cli.main import main
from tdro.export.shrunk import HeldOut, rank_shrunk, score_shrunk, shrunk_table

GREEK = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def unit(rng, *shape):
    rows = rng.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_rankings_are_those_by_hand():
    rng = np.random.default_rng(0)
    queries, passages = unit(rng, 5, 24), unit(rng, 60, 24)
    found = rank_shrunk(queries, passages)
    differing = ((queries[:, None] > 0) != (passages[None] > 0)).sum(axis=2)
    least, most = passages.min(axis=0), passages.max(axis=0)
    steps = np.clip(np.floor((passages - least) / ((most - least) / 255)), 0, 255) + 0.5
    rebuilt = least + steps * ((most - least) / 255)
    signs = np.where(passages > 0, 1, -1)
    for place, query in enumerate(queries):
        first = sorted(range(60), key=lambda row: (differing[place, row], row))
        assert found["float32"][place].tolist() == np.argsort(-(passages @ query), kind="stable")[:11].tolist()
        assert found["int8"][place].tolist() == np.argsort(-(rebuilt @ query), kind="stable")[:11].tolist()
        assert found["binary"][place].tolist() == first[:11]
        by_query = sorted(first[:40], key=lambda row: -(signs[row] @ query))
        assert found["binary_rescored"][place].tolist() == by_query[:11]


def test_a_small_corpus_is_filled_up():
    rng = np.random.default_rng(0)
    for rows in rank_shrunk(unit(rng, 2, 8), unit(rng, 3, 8)).values():
        assert sorted(rows[0].tolist()) == [-1] * 8 + [0, 1, 2]


@pytest.fixture
def held_out(tmp_path):
    """A test set whose answers are the words of the query in another order."""
    rng, rows = np.random.default_rng(0), range(30)
    words = [rng.choice(GREEK, 5).tolist() for _ in rows]
    ids = [str(row) for row in rows]
    corpus = {"passage_id": [f"p{i}" for i in rows], "title": [""] * 30, "text": [" ".join(w[::-1]) for w in words]}
    write_table(tmp_path / "corpus.parquet", corpus, CORPUS)
    queries = {"query_id": ids, "query": [" ".join(w) for w in words], "positives": [[i] for i in rows]}
    write_table(tmp_path / "queries.parquet", queries | {"negatives": [[]] * 30}, QUERIES)
    return HeldOut("find", tmp_path)


def test_whole_embeddings_score_as_the_evaluation_does(decoder, held_out, tmp_path):
    scores = score_shrunk(decoder, [held_out])
    files = {"corpus": str(tmp_path / "corpus.parquet"), "queries": str(tmp_path / "queries.parquet")}
    sets = {"find": {"find": {**files, "instruction": "Find it."}}}
    settings = {"benchmarks": sets, "encoding": {"precision": "fp32"}}
    arguments = ["--model", str(decoder), "--output", str(tmp_path / "eval"), "--settings", json.dumps(settings)]
    main(["evaluate", *arguments])
    evaluated = json.loads((tmp_path / "eval" / "find.json").read_text())["datasets"]["find"]["ndcg_at_10"]
    assert scores["find"]["float32"] == pytest.approx(evaluated, abs=1e-6)
    assert 0 < scores["find"]["binary"] <= scores["find"]["float32"] + 0.2
    assert scores["find"]["dimension"] == 32 and scores["find"]["passages"] == 30
    assert "bytes a passage" in shrunk_table(scores)
