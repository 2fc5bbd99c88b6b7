"""Embeddings cut to their first numbers: scored, reported, and the same for whoever loads a model so."""

import logging
import math
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from sentence_transformers import SentenceTransformer
from tinymodels import save_words

from tdro.artifacts.files import read_json, write_table
from tdro.artifacts.schemas import CORPUS, METRICS, QUERIES, QUERY_SCORES, RELEVANCE_METRICS, TEST_QUERIES
from tdro.config.commands import EvalDataset, Miner
from tdro.config.mining import Search
from tdro.config.models import Encoding, Model
from tdro.data import corpora
from tdro.evaluation.evaluate import evaluate
from tdro.models.bases import load_retriever
from tdro.models.load import load_trained
from tdro.retrieval import exact
from tdro.retrieval.encoder import Encoder
from tdro.retrieval.indices import BlockIndex
from tdro.retrieval.nearest import Nearest

ENCODING = Encoding(precision="fp32")
INSTRUCTION = "Find the passage"
WORDS = 60


def save(folder, vectors):
    """A retriever of the words ``w0``, ``w1``, ..."""
    return save_words(folder, {f"w{i}": vector for i, vector in enumerate(vectors)})


def save_dataset(folder, positives, **more):
    """Passage i is the word i; query i is the word i, too."""
    ids, words = [str(i) for i in range(WORDS)], [f"w{i}" for i in range(WORDS)]
    write_table(folder / "corpus.parquet", {"passage_id": ids, "title": [""] * WORDS, "text": words}, CORPUS)
    number = len(positives)
    # Their ids are no passage's, or each query would be a passage itself.
    queries = {"query_id": [f"q{i}" for i in range(number)], "query": words[:number], "positives": positives}
    queries["negatives"] = [[]] * number
    schema = TEST_QUERIES if more else QUERIES
    write_table(folder / "queries.parquet", queries | more, schema)
    paths = {"corpus": str(folder / "corpus.parquet"), "queries": str(folder / "queries.parquet")}
    return EvalDataset(**paths, instruction=INSTRUCTION)


@pytest.fixture
def vectors():
    return np.random.default_rng(5).normal(size=(WORDS, 12))


@pytest.fixture
def dataset(tmp_path):
    rng = np.random.default_rng(6)
    return save_dataset(tmp_path / "ds", [rng.choice(WORDS, 4, replace=False).tolist() for _ in range(40)])


def run(tmp_path, retriever, dataset, **more):
    """What an evaluation leaves: its JSON, and its table as a dictionary."""
    evaluate(retriever, {"b": {"d": dataset}}, ENCODING, tmp_path / "out", **more)
    queries = pq.read_table(tmp_path / "out/b.queries.parquet").to_pydict()
    return read_json(tmp_path / "out/b.json"), queries


def test_scores_at_a_dimension_are_those_of_a_retriever_that_has_no_other_numbers(tmp_path, vectors, dataset):
    whole, cut = run(tmp_path, save(tmp_path / "m", vectors), dataset, dimensions=[7, 3])
    assert whole["dimension"] == 12
    for size in (7, 3):
        alone, queries = run(tmp_path, save(tmp_path / f"m{size}", vectors[:, :size]), dataset)
        for metric in RELEVANCE_METRICS:
            assert cut[f"{metric}@{size}"] == pytest.approx(queries[metric], abs=1e-9)
            assert whole["datasets"]["d"][f"{metric}@{size}"] == pytest.approx(alone["datasets"]["d"][metric], abs=1e-9)
    assert cut["ndcg_at_10@3"] != cut["ndcg_at_10@7"] != cut["ndcg_at_10"]


def test_scores_of_whole_embeddings_are_the_same_with_and_without_dimensions(tmp_path, vectors, dataset):
    model = save(tmp_path / "m", vectors)
    (plain, plain_queries), (scores, queries) = (
        run(tmp_path, model, dataset),
        run(tmp_path, model, dataset, dimensions=[3]),
    )
    assert list(plain) == ["benchmark", "datasets"] and list(plain_queries) == QUERY_SCORES.names
    assert {key: queries[key] for key in plain_queries} == plain_queries
    assert list(queries) == [*QUERY_SCORES.names, *(f"{metric}@3" for metric in METRICS)]
    figures = scores["datasets"]["d"]
    assert {key: figures[key] for key in figures if "@" not in key} == plain["datasets"]["d"]


def test_a_corpus_is_encoded_once_whatever_the_dimensions_and_blocks(tmp_path, vectors, dataset, monkeypatch):
    model = save(tmp_path / "m", vectors)
    expected = run(tmp_path, model, dataset, dimensions=[7, 3])
    encode, read = Encoder.passages, []
    monkeypatch.setattr(Encoder, "passages", lambda self, texts: read.extend(texts) or encode(self, texts))
    monkeypatch.setattr(corpora, "BLOCK", 7)
    assert run(tmp_path, model, dataset, dimensions=[7, 3]) == expected
    assert read == [f"w{i}" for i in range(WORDS)]


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_rankings_are_those_of_cosines_of_the_first_numbers(seed, size):
    rng = np.random.default_rng(seed)
    asked, blocks = rng.normal(size=(3, 6)).astype(np.float32), rng.normal(size=(4, 5, 6)).astype(np.float32)
    nearest = Nearest(asked, BlockIndex(Search(), size), 8)
    for number, block in enumerate(blocks):
        nearest.look(5 * number, block)
    rows, scores = nearest.best
    passages = torch.tensor(blocks.reshape(-1, 6)[:, :size])
    expected = torch.nn.functional.cosine_similarity(torch.tensor(asked[:, :size])[:, None], passages[None], dim=2)
    best = np.sort(expected.numpy(), axis=1)[:, ::-1][:, :8]
    assert scores == pytest.approx(best, abs=1e-5)
    assert np.take_along_axis(expected.numpy(), rows, axis=1) == pytest.approx(best, abs=1e-5)


def test_dimensions_that_a_retriever_lacks_are_left_out_with_a_warning(tmp_path, vectors, dataset, caplog):
    model = save(tmp_path / "m", vectors)
    with caplog.at_level(logging.WARNING):
        scores, queries = run(tmp_path, model, dataset, dimensions=[99, 50, 12, 3])
    assert "b: the embeddings have 12 numbers; no scores for 99, 50 of `evaluation.dimensions`" in caplog.text
    assert {key.partition("@")[2] for key in queries} == {"", "3"}
    assert scores["dimension"] == 12
    caplog.clear()
    bm25, _ = run(tmp_path, "bm25", dataset, dimensions=[3])
    assert "dimension" not in bm25 and not any("@" in key for key in bm25["datasets"]["d"])
    assert "numbers" not in caplog.text


def test_answers_are_looked_for_in_the_ranking_at_each_dimension(tmp_path, vectors):
    model = save(tmp_path / "m", vectors)
    mkqa = save_dataset(tmp_path / "mkqa", [[]] * 5, grades=[None] * 5, answers=[["w0"], ["w9"], ["w7"], ["x"], ["w4"]])
    scores, queries = run(tmp_path, model, mkqa, dimensions=[2])
    assert scores["datasets"]["d"]["acc_at_100@2"] == 0.8 and "ndcg_at_10@2" not in scores["datasets"]["d"]
    assert queries["acc_at_10@2"][0] == queries["acc_at_10@2"][4] == 1


def test_a_query_that_is_a_passage_does_not_find_itself_at_any_dimension(tmp_path, vectors):
    vectors[1::2] = vectors[::2] + 1e-3  # words are neighbours in pairs, and each is the relevant passage of the other
    dataset = save_dataset(tmp_path / "own", [[i ^ 1] for i in range(10)])
    table = pq.read_table(dataset.queries)
    write_table(dataset.queries, table.set_column(0, "query_id", [[str(i) for i in range(10)]]), QUERIES)
    _, queries = run(tmp_path, save(tmp_path / "pairs", vectors), dataset, dimensions=[6])
    assert queries["ndcg_at_10@6"] == queries["ndcg_at_10"] == [1.0] * 10


@pytest.mark.parametrize("size", [20, 5])
def test_a_model_that_is_loaded_with_fewer_dimensions_gives_what_evaluation_scored(tmp_path, tiny_base, size):
    """As the card says: plain sentence-transformers with `truncate_dim`, cosine similarity."""
    retriever = load_retriever(Model(name="tiny", base=str(tiny_base)), ENCODING)
    retriever.prompts = {"query": f"Instruct: {INSTRUCTION}\nQuery: ", "document": ""}
    retriever.save(str(tmp_path / "model"))
    data = save_dataset(tmp_path / "ds", [[(7 * i + 1) % WORDS] for i in range(40)])
    scores, queries = run(tmp_path, tmp_path / "model", data, dimensions=[size])

    model = SentenceTransformer(str(tmp_path / "model"), truncate_dim=size, device="cpu")
    texts = [f"w{i}" for i in range(WORDS)]
    asked = model.encode_query(texts[:40])
    assert asked.shape == (40, size)
    cosines = model.similarity(asked, model.encode_document(texts)).numpy()
    ranks = [int((cosines[i] > cosines[i][(7 * i + 1) % WORDS]).sum()) for i in range(40)]
    gains = [1 / math.log2(rank + 2) if rank < 10 else 0.0 for rank in ranks]
    assert queries[f"ndcg_at_10@{size}"] == pytest.approx(gains, abs=1e-6)
    assert scores["datasets"]["d"][f"ndcg_at_10@{size}"] == pytest.approx(np.mean(gains), abs=1e-6)

    encoder = Encoder(load_trained(tmp_path / "model"), f"Instruct: {INSTRUCTION}\nQuery: ", "", "fp32", 64)
    _, cut = exact.rank(encoder, Path(data.corpus), texts[:40], 60, dimensions=[size])
    assert np.take_along_axis(cosines, cut.rows, axis=1) == pytest.approx(cut.scores, abs=1e-6)


def test_a_miner_is_cut_as_well(tmp_path, vectors, dataset):
    model = save(tmp_path / "m", vectors)
    miner = run(tmp_path, Miner(model=str(model)), dataset, dimensions=[3])
    assert miner[0]["datasets"] == run(tmp_path, model, dataset, dimensions=[3])[0]["datasets"]
