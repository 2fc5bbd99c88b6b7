import itertools

import numpy as np
import pytest

from tdro import mine as stage
from tdro.artifacts import CORPUS, NEGATIVES, QUERIES, read_counts, read_table, write_table
from tdro.config import Mining
from tdro.errors import UserError
from tdro.mine import mine

WORDS = [
    "red",
    "green",
    "blue",
    "cat",
    "dog",
    "bird",
    "runs",
    "sleeps",
    "sings",
    "in",
    "the",
    "park",
    "house",
    "river",
    "near",
    "old",
]


@pytest.fixture(scope="module")
def miner(tmp_path_factory):
    """A miner with two random BERT layers and a vocabulary of whole words."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("miner")
    vocabulary = folder / "vocab.txt"
    letters = [piece for letter in "abcdefghijklmnopqrstuvwxyz" for piece in (letter, f"##{letter}")]
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters]))
    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    network = BertModel(BertConfig(vocab_size=75, max_position_embeddings=64, initializer_range=0.5, **size))
    network.save_pretrained(folder / "bert")
    BertTokenizerFast(vocab=str(vocabulary)).save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=32)
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


@pytest.fixture
def data(tmp_path):
    passages = [
        ("red" if i % 3 else "", " ".join(words)) for i, words in enumerate(itertools.permutations(WORDS[3:8], 4))
    ]
    queries = [(" ".join(words), [i, 2 * i]) for i, words in enumerate(itertools.permutations(WORDS[8:13], 2))]
    return passages, queries, *write_data(tmp_path, passages, queries)


def embed(model, texts):
    """Embeddings as sentence-transformers makes them by itself, in float32."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(model, device="cpu").encode(texts, normalize_embeddings=True)


@pytest.fixture
def exact(monkeypatch):
    """Encode in float32 whatever the processor can do, so that ranks can be compared."""

    monkeypatch.setattr("tdro.precision.supports_bf16", lambda device: False)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("block", [7, 8192])
def test_negatives_equal_a_brute_force_ranking(data, miner, tmp_path, monkeypatch, block):
    passages, queries, corpus, asked = data
    monkeypatch.setattr(stage, "BLOCK", block)
    output = tmp_path / "negatives.parquet"
    mine(corpus, asked, output, Mining(model=miner, query_prompt="the ", ranks=(2, 12), samples=8))

    texts = [f"{title} {text}".strip() for title, text in passages]
    scores = embed(miner, [f"the {text}" for text, _ in queries]) @ embed(miner, texts).T
    for row in read_table(output, NEGATIVES).to_pylist():
        positives = queries[row["query"]][1]
        allowed = [p for p in np.argsort(-scores[row["query"]], kind="stable")[2:12].tolist() if p not in positives]
        mined = [p for p, score in zip(row["negatives"], row["scores"], strict=True) if score is not None]
        assert len(row["negatives"]) == 8
        assert len(mined) == min(8, len(allowed))
        assert [p for p in allowed if p in mined] == mined
        np.testing.assert_allclose(row["scores"][: len(mined)], scores[row["query"], mined], atol=1e-5)


@pytest.mark.usefixtures("exact")
def test_the_margin_is_below_the_lowest_positive(data, miner, tmp_path):
    passages, queries, corpus, asked = data
    mine(corpus, asked, tmp_path / "negatives.parquet", Mining(model=miner, ranks=(0, 120), samples=120, margin=0.1))

    texts = [f"{title} {text}".strip() for title, text in passages]
    scores = embed(miner, [text for text, _ in queries]) @ embed(miner, texts).T
    above = 0
    for row in read_table(tmp_path / "negatives.parquet", NEGATIVES).to_pylist():
        own = scores[row["query"]]
        lowest = own[queries[row["query"]][1]].min()
        limit = lowest - abs(lowest) * 0.1
        mined = {p for p, score in zip(row["negatives"], row["scores"], strict=True) if score is not None}
        assert mined == set(np.flatnonzero(own <= limit).tolist()) - set(queries[row["query"]][1])
        above += len(texts) - len(mined | set(queries[row["query"]][1]))
    counts = read_counts(tmp_path / "negatives.parquet")
    assert counts["above the margin"] == above > 0
    assert counts["candidates"] == len(queries) * len(texts)


def test_the_same_run_twice_gives_the_same_file(data, miner, tmp_path):
    _, _, corpus, asked = data
    for name in ("a", "b"):
        mine(corpus, asked, tmp_path / name, Mining(model=miner, samples=5, margin=0.05))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_reduced_precision_is_close(data, miner, tmp_path):
    passages, queries, corpus, asked = data
    mine(corpus, asked, tmp_path / "negatives.parquet", Mining(model=miner, ranks=(0, 120), samples=120))
    scores = embed(miner, [text for text, _ in queries]) @ embed(miner, [f"{a} {b}".strip() for a, b in passages]).T
    for row in read_table(tmp_path / "negatives.parquet", NEGATIVES).to_pylist():
        np.testing.assert_allclose(row["scores"], scores[row["query"], row["negatives"]], atol=0.05)


def test_queries_with_too_few_are_dropped_and_counted(miner, tmp_path):
    passages = [("", "cat"), ("", "CAT"), ("", "dog"), ("", "bird")]
    queries = [("cat", [0]), ("blue", [1]), ("red", [0, 1, 2])]
    corpus, asked = write_data(tmp_path, passages, queries)
    mine(corpus, asked, tmp_path / "out", Mining(model=miner, ranks=(0, 9), samples=2, too_few="drop"))
    rows = read_table(tmp_path / "out", NEGATIVES).to_pylist()
    assert [(row["query"], sorted(row["negatives"])) for row in rows] == [(0, [2, 3]), (1, [2, 3])]
    assert read_counts(tmp_path / "out") == {
        "queries": 3,
        "candidates": 12,
        "outside the ranks": 0,
        "positives": 5,
        "equal texts": 2,
        "above the margin": 0,
        "queries filled up": 0,
        "passages filled in": 0,
        "queries dropped": 1,
        "queries with no negative": 0,
    }


def test_a_corpus_of_one_passage_gives_empty_lists(miner, tmp_path):
    corpus, asked = write_data(tmp_path, [("", "cat")], [("red", [0]), ("blue", [0])])
    mine(corpus, asked, tmp_path / "out", Mining(model=miner))
    rows = read_table(tmp_path / "out", NEGATIVES).to_pylist()
    assert rows == [{"query": i, "negatives": [], "scores": []} for i in range(2)]
    assert read_counts(tmp_path / "out")["queries with no negative"] == 2
    with pytest.raises(UserError, match=r"no query of .*queries\.parquet keeps 16 hard negatives"):
        mine(corpus, asked, tmp_path / "dropped", Mining(model=miner, too_few="drop"))


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
        mine(corpus, asked, tmp_path / "out", Mining(model="/nonexistent"))


def test_a_miner_that_is_not_there_is_named(tmp_path):
    corpus, asked = write_data(tmp_path, [("", "cat")], [("red", [0])])
    with pytest.raises(UserError, match="nonexistent"):
        mine(corpus, asked, tmp_path / "out", Mining(model="/nonexistent"))
