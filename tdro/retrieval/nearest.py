"""The passages nearest to queries, in a corpus that is searched block by block: the best of each block are merged."""

import hashlib
import json
import shutil

import numpy as np

from tdro.config.mining import Search
from tdro.retrieval.encoder import unit
from tdro.retrieval.indices import BlockIndex
from tdro.retrieval.shards import Embeddings


def merged(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best of two rankings of the same queries: rows and scores of shape (queries, up to ``depth``).

    Both are rows and scores of any number of columns, best first, equal scores by row, and so is what is returned. All
    rows of the first are below those of the second, so that a stable sort keeps equal scores in order; it merges two
    lists that are sorted in a third of the time that a sort by score and row takes.
    """
    rows, scores = (np.hstack(pair) for pair in zip(one, other, strict=True))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)


def none_yet(queries: int, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """A ranking without a passage: row -1 and a score below all others, each of shape (queries, depth)."""
    return np.full((queries, depth), -1, dtype=np.int64), np.full((queries, depth), -np.inf, np.float32)


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
        self.best = none_yet(len(asked), depth)

    def look(self, start: int, block: np.ndarray | None) -> None:
        """Search a block, whose first row is number ``start`` of the corpus; None is the one that the index holds."""
        if block is not None:
            self._index.hold(self._cut(block))
        scores, rows = self._index.search(self._asked, self._depth)
        rows[rows >= 0] += start
        self.best = merged(self.best, (rows, scores), self._depth)

    def _cut(self, vectors: np.ndarray) -> np.ndarray:
        if self._index.dimension == vectors.shape[1]:
            return vectors
        return unit(np.ascontiguousarray(vectors[:, : self._index.dimension]))


class Finder:
    """Searches stored embeddings for some queries after others.

    An index that is not exact is built once a block and kept beside the embeddings, in ``index-KEY/``; every further
    search maps it. Another one takes its place.

    Args:
        passages: Embeddings of the corpus.
        search: Which index; the default is exact.

    Attributes:
        passages: As above.
        index: What searches a block.

    Raises:
        UserError: when faiss cannot make the index.
    """

    def __init__(self, passages: Embeddings, search: Search | None = None) -> None:
        search = search or Search()
        self.passages, self._held = passages, -1
        self.index = BlockIndex(search, passages.dimension, self._sample, len(passages))
        self._kept = None if search.index == Search().index else passages.folder / f"index-{_key(passages, search)}"

    def best(self, asked: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and scores of the passages nearest to each query, as :class:`Nearest` has them.

        Raises:
            UserError: when faiss cannot train or fill the index.
        """
        nearest = Nearest(asked, self.index, depth)
        for start, end in self.passages.bounds():
            self._hold(start, end)
            nearest.look(start, None)
        return nearest.best

    def _hold(self, start: int, end: int) -> None:
        if start == self._held:  # a corpus of one block
            return
        file = self._kept / f"{start}.faiss" if self._kept else None
        if file and file.is_file():
            self.index.open(file)
        else:
            self._remove_others()
            self.index.hold(self.passages.slice(start, end), file)
        self._held = start

    def _remove_others(self) -> None:
        for folder in self.passages.folder.glob("index-*") if self._kept else ():
            if folder != self._kept:
                shutil.rmtree(folder)

    def _sample(self, number: int) -> np.ndarray:
        rows = np.random.default_rng(0).permutation(len(self.passages))[:number]
        return self.passages.take(np.sort(rows))


def _key(passages: Embeddings, search: Search) -> str:
    """What a built index depends on; how it is searched (``nprobe``, ``ef_search``) is not among it."""
    import faiss

    content = [search.index, passages.manifest, list(passages.bounds()), faiss.__version__]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
