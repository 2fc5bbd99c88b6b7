"""Exact dense retrieval over a corpus of any size, which is encoded and searched block by block."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tdro.config.mining import Search
from tdro.data.corpora import blocks, passages
from tdro.progress import Progress
from tdro.retrieval.encoder import Encoder
from tdro.retrieval.nearest import Nearest, open_index
from tdro.text.strings import passage_texts


class Ranking(NamedTuple):
    """The best passages of each query.

    Attributes:
        dimension: Numbers of an embedding that decided; None where none did, as with words.
        rows: Rows of the corpus, best first, shape (queries, depth); -1 where the corpus is smaller.
        scores: The same shape, inner products of unit vectors. Equal scores are in the order of the rows.
    """

    dimension: int | None
    rows: np.ndarray
    scores: np.ndarray


def searches(asked: np.ndarray, depth: int, dimensions: Sequence[int] = ()) -> dict[int, Nearest]:
    """What finds the passages nearest to some queries, by the numbers of an embedding that decide.

    Args:
        asked: Embeddings of the queries, float32 of shape (queries, dimension).
        depth: Passages a query.
        dimensions: Numbers to rank by as well, scaled to unit length anew.

    Returns:
        First the whole embeddings', then one for each of ``dimensions`` that is below theirs.
    """
    sizes = [asked.shape[1], *(size for size in dimensions if size < asked.shape[1])]
    return {size: Nearest(asked, open_index(Search(), size), depth) for size in sizes}


def rank(
    encoder: Encoder, corpus: Path, queries: list[str], depth: int, dimensions: Sequence[int] = ()
) -> list[Ranking]:
    """The passages of the highest inner product with each query, by whole embeddings and by their first numbers.

    Memory does not depend on the corpus: blocks are encoded and searched one by one, on a GPU where there is one.

    Args:
        encoder: What embeds queries and passages.
        corpus: A ``corpus.parquet``.
        queries: Texts.
        depth: Passages a query.
        dimensions: As :func:`searches` has them. The corpus is encoded once for all of them.

    Returns:
        As :func:`searches`.
    """
    found = searches(encoder.queries(queries), depth, dimensions)
    encoder.cuts.told = Progress("encoded", "passages", passages(corpus))
    for start, table in blocks(corpus):
        block = encoder.passages(passage_texts(table))
        for search in found.values():
            search.look(start, block)
    encoder.cuts.told = None
    encoder.cuts.tell(str(corpus.parent))
    return [Ranking(size, *search.best) for size, search in found.items()]
