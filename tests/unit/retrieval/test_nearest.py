"""The nearest passages, by faiss and by torch on a device: both against a float64 oracle, and against each other."""

from types import SimpleNamespace
from unittest.mock import patch

import faiss
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from minings import made_embeddings

from tdro.config.mining import Search
from tdro.models import processes
from tdro.retrieval import nearest as ways
from tdro.retrieval import ondevice, shards
from tdro.retrieval.indices import BlockIndex
from tdro.retrieval.nearest import Finder, Nearest, open_index
from tdro.retrieval.ondevice import DeviceIndex
from tdro.retrieval.shards import Embeddings

CPU = torch.device("cpu")
#: How far a score may be from the sum in float64, for vectors of unit length.
NEAR = 1e-6


@pytest.fixture
def gpu(monkeypatch):
    """Lets the process believe that torch's CPU device is its GPU."""
    monkeypatch.setattr(ways, "on_cpu", lambda: False)
    monkeypatch.setattr(ways, "device", lambda: CPU)


def of_blocks(index, asked, corpus, size, depth):
    nearest = Nearest(asked, index, depth)
    for start in range(0, len(corpus), size):
        nearest.look(start, corpus[start : start + size])
    return nearest.best


def oracle(asked, corpus, depth):
    """Rows and scores of shape (queries, depth) by a sort of all scores in float64."""
    scores = asked.astype(np.float64) @ corpus.astype(np.float64).T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    fill = ((0, 0), (0, depth - order.shape[1]))
    found = np.take_along_axis(scores, order, axis=1)
    return np.pad(order, fill, constant_values=-1), np.pad(found, fill, constant_values=-np.inf)


@pytest.mark.parametrize("made", [lambda size: DeviceIndex(size, CPU), lambda size: BlockIndex(Search(), size)])
@given(
    seed=st.integers(0, 2**32 - 1),
    passages=st.integers(1, 60),
    queries=st.integers(1, 12),
    depth=st.integers(1, 25),
    block=st.integers(1, 70),
    at_once=st.integers(1, 5),
    scores=st.integers(1, 90),
    lowest=st.integers(-3, 0),
)
def test_the_best_of_many_blocks_are_those_of_a_sort(
    made, seed, passages, queries, depth, block, at_once, scores, lowest
):
    """Small whole numbers: most scores tie, many are negative or 0, and all sums are exact, so rows must be equal."""
    rng = np.random.default_rng(seed)
    corpus, asked = (rng.integers(lowest, 2, (n, 3)).astype(np.float32) for n in (passages, queries))
    with patch.multiple(ondevice, _QUERIES=at_once, _SCORES=scores):
        rows, found = of_blocks(made(3), asked, corpus, block, depth)
    expected = oracle(asked, corpus, depth)
    assert rows.tolist() == expected[0].tolist()
    assert found.tolist() == expected[1].tolist()


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 40), st.integers(1, 500))
def test_both_ways_find_the_same_passages(seed, passages, depth, block):
    rng = np.random.default_rng(seed)
    corpus, asked = (rng.normal(size=(n, 48)).astype(np.float32) for n in (passages, 9))
    corpus, asked = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (corpus, asked))
    corpus = corpus[rng.integers(0, passages, passages)]  # some of them several times
    exact = asked.astype(np.float64) @ corpus.astype(np.float64).T
    expected = oracle(asked, corpus, depth)[1]
    for index in (DeviceIndex(48, CPU), BlockIndex(Search(), 48)):
        rows, scores = of_blocks(index, asked, corpus, block, depth)
        np.testing.assert_allclose(scores, expected, atol=NEAR)
        there = rows >= 0
        assert (there == np.isfinite(expected)).all()
        own = np.take_along_axis(exact, np.where(there, rows, 0), axis=1)
        np.testing.assert_allclose(own[there], expected[there], atol=NEAR)
        assert all(len(set(row[row >= 0])) == min(depth, passages) for row in rows)


def test_stored_embeddings_are_found_on_the_device_as_they_are_by_faiss(gpu, tmp_path, monkeypatch):
    """Read as float16, a block at a time; one flat index of faiss over everything is the other opinion."""
    rng = np.random.default_rng(0)
    corpus = rng.normal(size=(300, 16)).astype(np.float32)
    made_embeddings(tmp_path / "corpus", corpus / np.linalg.norm(corpus, axis=1, keepdims=True))
    monkeypatch.setattr(shards, "BLOCK_BYTES", 70 * 4 * 16)
    passages = Embeddings(tmp_path / "corpus")
    finder = Finder(passages)
    assert isinstance(finder.index, DeviceIndex)
    whole = faiss.IndexFlatIP(16)
    whole.add(passages.slice(0, 300))
    for asked in (rng.normal(size=(n, 16)).astype(np.float32) for n in (1, 20)):
        expected = whole.search(asked, 12)
        rows, scores = finder.best(asked, 12)
        assert rows.tolist() == expected[1].tolist()
        np.testing.assert_allclose(scores, expected[0], rtol=1e-5)


def test_no_more_scores_are_on_the_device_than_it_is_told(monkeypatch):
    """Also where all scores are equal, and whole lines have to be sorted."""
    monkeypatch.setattr(ondevice, "_QUERIES", 8)
    monkeypatch.setattr(ondevice, "_SCORES", 800)
    sizes, topk, sort = [], torch.Tensor.topk, torch.Tensor.sort
    monkeypatch.setattr(torch.Tensor, "topk", lambda self, *a, **k: sizes.append(self.numel()) or topk(self, *a, **k))
    monkeypatch.setattr(torch.Tensor, "sort", lambda self, *a, **k: sizes.append(self.numel()) or sort(self, *a, **k))
    corpus = np.ones((1000, 4), np.float32)
    rows, _ = of_blocks(DeviceIndex(4, CPU), corpus[:21], corpus, 500, 7)
    assert rows.tolist() == [list(range(7))] * 21
    assert max(sizes) == 800


def test_products_are_as_precise_as_float32_whatever_the_process_computes_with(monkeypatch):
    seen, product = [], torch.Tensor.__matmul__
    monkeypatch.setattr(
        torch.Tensor, "__matmul__", lambda a, b: seen.append(torch.get_float32_matmul_precision()) or product(a, b)
    )
    torch.set_float32_matmul_precision("medium")
    try:
        of_blocks(DeviceIndex(4, CPU), np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32), 4, 2)
        assert seen == ["highest"] and torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_what_is_not_exact_is_searched_by_faiss_on_any_machine(gpu):
    assert isinstance(open_index(Search(), 16), DeviceIndex)
    assert isinstance(open_index(Search(index="HNSW16"), 16), BlockIndex)


@pytest.mark.parametrize(
    ("told", "loaded", "driver", "gpus", "expected"),
    [
        ("true", True, True, True, True),
        ("", True, False, True, False),
        ("", True, True, False, True),
        ("", False, True, True, False),
        ("", False, False, True, True),
    ],
)
def test_torch_is_asked_for_a_gpu_where_it_is_loaded_or_there_is_a_driver(
    monkeypatch, told, loaded, driver, gpus, expected
):
    monkeypatch.setenv("ACCELERATE_USE_CPU", told)
    monkeypatch.setattr(processes, "_has_driver", lambda: driver)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus)
    monkeypatch.setattr(processes, "sys", SimpleNamespace(modules={"torch"} if loaded else set()))
    assert processes.on_cpu() is expected
