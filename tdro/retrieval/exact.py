"""Exact dense retrieval over a corpus of any size: encoded, or read as embeddings, and searched block by block."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tdro.config.mining import Search
from tdro.data.corpora import blocks, passages
from tdro.errors import UserError
from tdro.progress import Progress
from tdro.retrieval.encoder import Encoder
from tdro.retrieval.indices import BlockIndex
from tdro.retrieval.nearest import Nearest
from tdro.retrieval.shards import Embeddings
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


def rank(
    encoder: Encoder,
    corpus: Path,
    queries: list[str],
    depth: int,
    embeddings: Path | None = None,
    dimensions: Sequence[int] = (),
) -> list[Ranking]:
    """The passages of the highest inner product with each query, by whole embeddings and by their first numbers.

    Memory depends on neither corpus nor embeddings: blocks are searched one by one, on a GPU where there is one.

    Args:
        encoder: What embeds queries and passages.
        corpus: A ``corpus.parquet``.
        queries: Texts.
        depth: Passages a query.
        embeddings: Folder of the corpus' embeddings; None encodes the corpus on the way.
        dimensions: Numbers of an embedding to rank by as well, scaled to unit length anew. The corpus is encoded or
            read once for all of them.

    Returns:
        The ranking by whole embeddings, then one for each of ``dimensions`` that is below theirs.

    Raises:
        UserError: for embeddings that cannot be read or are of another corpus.
    """
    asked = encoder.queries(queries)
    sizes = [asked.shape[1], *(size for size in dimensions if size < asked.shape[1])]
    searches = [Nearest(asked, BlockIndex(Search(), size), depth) for size in sizes]
    for start, block in _stored(embeddings, corpus) if embeddings else _encoded(encoder, corpus):
        for search in searches:
            search.look(start, block)
    encoder.cuts.tell(str(corpus.parent))
    return [Ranking(size, *search.best) for size, search in zip(sizes, searches, strict=True)]


def _stored(folder: Path, corpus: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of embeddings made before."""
    embeddings = Embeddings(folder)
    if len(embeddings) != passages(corpus):
        raise UserError(
            f"{folder} has {len(embeddings)} embeddings for the {passages(corpus)} passages of {corpus}; "
            "delete it and encode again."
        )
    yield from embeddings.blocks()


def _encoded(encoder: Encoder, corpus: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of a corpus, encoded as they are asked for."""
    progress = Progress("encoded", "passages", passages(corpus))
    for start, table in blocks(corpus):
        yield start, encoder.passages(passage_texts(table))
        progress.add(len(table))
