"""Data of a task to mine, and the stages of mining on it."""

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import CORPUS, NEGATIVES, QUERIES
from tdro.config.mining import Encode, Search, Select
from tdro.mining.encode import encode
from tdro.mining.search import search
from tdro.mining.select import select_negatives
from tdro.retrieval.shards import Workspace


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


def embed(model, texts):
    """Embeddings as sentence-transformers makes them by itself, in float32."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(model, device="cpu").encode(texts, normalize_embeddings=True)


def true_scores(miner, passages, queries, prompt=""):
    texts = [f"{title} {text}".strip() for title, text in passages]
    return embed(miner, [prompt + text for text, _ in queries]) @ embed(miner, texts).T


def encoded(folder, corpus, asked, **settings):
    assert {corpus.parent, asked.parent} == {folder}
    encode([folder], folder / "checkpoints", Encode(**settings))
    return folder / "embeddings"


def shards(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.npy"))}


def made_embeddings(folder, vectors, size=64):
    """A finished folder of given vectors."""
    work = Workspace(folder.with_name(f"{folder.name}-work"), {"prompt": ""})
    work.open()
    pieces = range(0, len(vectors), size)
    for number, start in enumerate(pieces):
        work.write(number, vectors[start : start + size], {"tokens": 1, "padded": 1})
    work.publish(folder, len(pieces), len(vectors), size)


def mine(folder, corpus, asked, miner, **settings):
    search(
        encoded(folder, corpus, asked, model=miner),
        corpus,
        asked,
        folder / "candidates",
        folder / "kept",
        Search(depth=200),
    )
    select_negatives(folder / "candidates", corpus, asked, folder / "out", Select(**settings))
    return read_table(folder / "out", NEGATIVES).to_pylist()
