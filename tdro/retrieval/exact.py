"""Exact dense retrieval over a corpus of any size: encoded, or read as embeddings, and searched block by block."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tdro.config.mining import Search
from tdro.data.corpora import blocks, passages
from tdro.errors import UserError
from tdro.progress import Progress
from tdro.retrieval.encoder import Encoder, unit
from tdro.retrieval.indices import BlockIndex, merge
from tdro.retrieval.shards import Embeddings
from tdro.text.strings import passage_texts

#: Bytes of stored embeddings that are in memory as float32 at a time, besides the copy in the index.
BLOCK_BYTES = 256 * 2**20


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
    whole = asked.shape[1]
    searches = [Nearest(asked, size, depth) for size in (whole, *(size for size in dimensions if size < whole))]
    for start, block in _stored(embeddings, corpus) if embeddings else _encoded(encoder, corpus):
        for search in searches:
            search.look(start, block)
    encoder.cuts.tell(str(corpus.parent))
    return [Ranking(search.dimension, *search.best) for search in searches]


class Nearest:
    """The passages nearest to queries by the first numbers of their embeddings, among the blocks seen so far."""

    def __init__(self, asked: np.ndarray, dimension: int, depth: int) -> None:
        self.dimension, self._depth = dimension, depth
        self._asked, self._index = self._cut(asked), BlockIndex(Search(), dimension)
        shape = len(asked), depth
        self.best = np.full(shape, -1, dtype=np.int64), np.full(shape, -np.inf, np.float32)

    def look(self, start: int, block: np.ndarray) -> None:
        """Search a block, whose first row is number ``start`` of the corpus."""
        self._index.hold(self._cut(block))
        scores, rows = self._index.search(self._asked, self._depth)
        self.best = merge(self.best, (rows + start, scores), self._depth)

    def _cut(self, vectors: np.ndarray) -> np.ndarray:
        if self.dimension == vectors.shape[1]:
            return vectors
        return unit(np.ascontiguousarray(vectors[:, : self.dimension]))


def _stored(folder: Path, corpus: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of embeddings made before."""
    embeddings = Embeddings(folder)
    if len(embeddings) != passages(corpus):
        raise UserError(
            f"{folder} has {len(embeddings)} embeddings for the {passages(corpus)} passages of {corpus}; "
            "delete it and encode again."
        )
    yield from embeddings.blocks(max(1, BLOCK_BYTES // (4 * embeddings.dimension)))


def _encoded(encoder: Encoder, corpus: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of a corpus, encoded as they are asked for."""
    progress = Progress("encoded", "passages", passages(corpus))
    for start, table in blocks(corpus):
        yield start, encoder.passages(passage_texts(table))
        progress.add(len(table))
