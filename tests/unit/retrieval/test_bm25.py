import math
from collections import Counter

import numpy as np
import pytest

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import CORPUS
from tdro.retrieval.bm25 import rank, words


def corpus(tmp_path, texts):
    ids = [f"d{i}" for i in range(len(texts))]
    write_table(tmp_path / "corpus.parquet", {"passage_id": ids, "title": [""] * len(texts), "text": texts}, CORPUS)
    return tmp_path / "corpus.parquet"


def by_formula(texts, query, k1=1.5, b=0.75):
    """Lucene's BM25: ln(1 + (N - df + 0.5) / (df + 0.5)) * tf / (tf + k1 * (1 - b + b * length / mean length))."""
    documents = [Counter(words(text)) for text in texts]
    mean = np.mean([sum(d.values()) for d in documents])
    scores = []
    for document in documents:
        score = 0.0
        for word in words(query):
            df = sum(word in d for d in documents)
            if df:
                idf = math.log(1 + (len(documents) - df + 0.5) / (df + 0.5))
                length = sum(document.values())
                score += idf * document[word] / (document[word] + k1 * (1 - b + b * length / mean))
        scores.append(score)
    return scores


def test_scores_equal_the_formula(tmp_path):
    rng = np.random.default_rng(4)
    texts = [" ".join(rng.choice(list("abcdefghij"), rng.integers(3, 30))) for _ in range(60)]
    queries = ["a b b c", "j", "a zzz"]
    rows, scores = rank(corpus(tmp_path, texts), queries, 60)
    for query, found, values in zip(queries, rows, scores, strict=True):
        expected = np.array(by_formula(texts, query))
        kept = found[found >= 0]
        assert sorted(kept.tolist()) == np.flatnonzero(expected > 0).tolist()
        assert values[: len(kept)] == pytest.approx(expected[kept], rel=1e-4)
        assert np.all(np.diff(values[: len(kept)]) <= 0)


def test_nothing_shared_is_not_found_and_equal_scores_are_in_the_order_of_rows(tmp_path):
    rows, scores = rank(corpus(tmp_path, ["red", "blue", "red", "red"]), ["red", "green", ""], 2)
    assert rows.tolist() == [[0, 2], [-1, -1], [-1, -1]]
    assert scores[1:].tolist() == [[0, 0], [0, 0]]


def test_scripts_without_spaces_are_searched_by_pairs_of_characters(tmp_path):
    rows, _ = rank(corpus(tmp_path, ["北京大学在北京", "東京都に住む", "雨"]), ["東京", "雨", "北京大学"], 1)
    assert rows.ravel().tolist() == [1, 2, 0]


def test_words_of_many_scripts():
    assert words("The 2 Towers: 東京都, 雨!") == ["the", "2", "towers", "東京", "京都", "雨"]
    assert words("Привет, мир — שלום") == ["привет", "мир", "שלום"]
    assert words("...") == []
