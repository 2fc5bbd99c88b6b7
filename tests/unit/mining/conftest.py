"""A small miner with random weights, and data to mine."""

import itertools

import numpy as np
import pytest
from minings import made_embeddings, write_data
from tinymodels import WORDS, bert


@pytest.fixture(scope="module")
def miner(tmp_path_factory):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    folder = tmp_path_factory.mktemp("miner")
    transformer = Transformer(bert(folder, "BertModel"), max_seq_length=32)
    SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu").save(str(folder / "model"))
    return str(folder / "model")


@pytest.fixture
def data(tmp_path):
    passages = [
        ("red" if i % 3 else "", " ".join(words)) for i, words in enumerate(itertools.permutations(WORDS[3:8], 4))
    ]
    queries = [(" ".join(words), [i, 2 * i + 1]) for i, words in enumerate(itertools.permutations(WORDS[8:13], 2))]
    return passages, queries, *write_data(tmp_path, passages, queries)


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Encode in float32 whatever the processor can do, so that scores can be compared."""
    monkeypatch.setattr("tdro.models.precision.supports_bf16", lambda device: False)


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
