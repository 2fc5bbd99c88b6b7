"""BM25 (Robertson and Zaragoza, 2009), by the library bm25s with its defaults (Lucene's variant, k1 1.5, b 0.75).

Words are what :func:`tdro.text.answers.tokens` gives, of scripts without spaces pairs of neighbouring characters, as in
Lucene's CJK analysis; symbols are left out and nothing is stemmed, so that one rule serves all languages.
"""

import logging
from array import array
from collections.abc import Iterable
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from tdro.data.corpora import blocks, passages
from tdro.text.answers import SPACELESS, tokens
from tdro.text.strings import passage_texts

log = logging.getLogger(__name__)

# Stands for every word that no query has; no word has a space.
_OTHER = " "


def rank(corpus: Path, queries: list[str], depth: int) -> tuple[np.ndarray, np.ndarray]:
    """The best passages of each query.

    Of a passage only words of the queries are kept, and how many others it has: that is all that scores depend on. The
    corpus is read piece by piece, but the index is in memory (docs/performance.md).

    Args:
        corpus: A ``corpus.parquet``.
        queries: Texts, without instructions.
        depth: Passages a query.

    Returns:
        Rows of the corpus and scores, best first, shape (queries, depth); row -1 and score 0 where no
        further passage shares a word with the query. Equal scores are in the order of the rows.
    """
    import bm25s

    number = passages(corpus)
    asked = [words(query) for query in queries]
    vocabulary = {word: place for place, word in enumerate(dict.fromkeys(word for query in asked for word in query), 1)}
    vocabulary[_OTHER] = 0
    encoded = [_encode(words(text), vocabulary) for _, table in blocks(corpus) for text in passage_texts(table)]
    log.info("BM25: %d passages, %d words asked for", number, len(vocabulary) - 1)
    index = bm25s.BM25()
    index.index((encoded, vocabulary), show_progress=False)
    rows = np.full((len(queries), depth), -1, dtype=np.int64)
    scores = np.zeros((len(queries), depth), dtype=np.float32)
    for place, query in enumerate(asked):
        if query:
            found = index.get_scores_from_ids([vocabulary[word] for word in query])
            best = _best(found, depth)
            rows[place, : len(best)], scores[place, : len(best)] = best, found[best]
    return rows, scores


def words(text: str) -> list[str]:
    """Words of a text.

    Example:
        >>> words("The 2 towers: 東京都, 雨")
        ['the', '2', 'towers', '東京', '京都', '雨']
    """
    found = []
    for spaceless, run in groupby(tokens(text), key=lambda token: bool(SPACELESS.match(token))):
        if spaceless:
            characters = list(run)
            found += ["".join(pair) for pair in pairwise(characters)] or characters
        else:
            found += [token for token in run if token[0].isalnum()]
    return found


def _encode(found: Iterable[str], vocabulary: dict[str, int]) -> array:
    return array("i", (vocabulary.get(word, 0) for word in found))


def _best(scores: np.ndarray, depth: int) -> np.ndarray:
    """Rows of the highest scores above 0, equal ones in the order of the rows."""
    positive = np.flatnonzero(scores > 0)
    if len(positive) > depth:
        cut = np.partition(scores[positive], len(positive) - depth)[len(positive) - depth]
        positive = positive[scores[positive] >= cut]
    return positive[np.lexsort((positive, -scores[positive]))][:depth]
