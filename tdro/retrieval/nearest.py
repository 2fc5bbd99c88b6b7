"""The passages nearest to queries, in a corpus that is searched block by block: the best of each block are merged."""

import numpy as np

from tdro.config.mining import Search
from tdro.retrieval.encoder import unit
from tdro.retrieval.indices import BlockIndex
from tdro.retrieval.shards import Embeddings


class Nearest:
    """The passages nearest to some queries among the blocks seen so far.

    Args:
        asked: Embeddings of the queries, float32 of shape (queries, dimension).
        index: What searches a block. One of a lower dimension searches by the first numbers of the embeddings alone,
            scaled to unit length anew.
        depth: Passages a query.

    Attributes:
        best: Rows and scores, best first, each of shape (queries, depth); row -1 where there are fewer. Equal scores
            are in the order of the rows.
    """

    def __init__(self, asked: np.ndarray, index: BlockIndex, depth: int) -> None:
        self._index, self._depth = index, depth
        self._asked = self._cut(asked)
        shape = len(asked), depth
        self.best: tuple[np.ndarray, np.ndarray] = (
            np.full(shape, -1, dtype=np.int64),
            np.full(shape, -np.inf, np.float32),
        )

    def look(self, start: int, block: np.ndarray | None) -> None:
        """Search a block, whose first row is number ``start`` of the corpus; None is the one that the index holds."""
        if block is not None:
            self._index.hold(self._cut(block))
        scores, rows = self._index.search(self._asked, self._depth)
        rows[rows >= 0] += start
        rows, scores = (np.hstack(pair) for pair in zip(self.best, (rows, scores), strict=True))
        order = np.lexsort((rows, -scores))[:, : self._depth]
        self.best = np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)

    def _cut(self, vectors: np.ndarray) -> np.ndarray:
        if self._index.dimension == vectors.shape[1]:
            return vectors
        return unit(np.ascontiguousarray(vectors[:, : self._index.dimension]))


class Finder:
    """Searches stored embeddings for some queries after others; what fits into one block is indexed once.

    Args:
        passages: Embeddings of the corpus.
        search: Which index; the default is exact.

    Attributes:
        passages: As above.
        index: What searches a block.

    Raises:
        UserError: when faiss cannot make or train the index.
    """

    def __init__(self, passages: Embeddings, search: Search | None = None) -> None:
        self.passages, self._held = passages, False
        self.index = BlockIndex(search or Search(), passages.dimension, self._sample, len(passages))

    def best(self, asked: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and scores of the passages nearest to each query, as :class:`Nearest` has them."""
        nearest = Nearest(asked, self.index, depth)
        for start, block in [(0, None)] if self._held else self.passages.blocks():
            nearest.look(start, block)
        self._held = start == 0
        return nearest.best

    def _sample(self, number: int) -> np.ndarray:
        rows = np.random.default_rng(0).permutation(len(self.passages))[:number]
        return self.passages.take(np.sort(rows))
