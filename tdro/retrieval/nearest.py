"""The passages nearest to queries, in a corpus that is searched block by block: the best of each block are merged."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tdro.artifacts.files import read_note
from tdro.artifacts.sums import crc
from tdro.config.mining import Search
from tdro.models.processes import device, on_cpu
from tdro.retrieval.encoder import unit
from tdro.retrieval.indices import EXACT, BlockIndex
from tdro.retrieval.merging import none_yet
from tdro.retrieval.shards import Embeddings

if TYPE_CHECKING:
    from tdro.retrieval.ondevice import DeviceIndex


def open_index(
    search: Search, dimension: int, sample: Callable[[int], np.ndarray] | None = None, rows: int = 0
) -> "BlockIndex | DeviceIndex":
    """What searches a block: torch on this process's GPU where the search is exact and there is one, else faiss.

    Args:
        search: The validated section ``mining.search``.
        dimension: Length of a vector.
        sample: Gives vectors to train on, as :class:`tdro.retrieval.indices.BlockIndex` takes them.
        rows: Vectors of the whole corpus.

    Raises:
        UserError: when faiss cannot make the index.
    """
    if search.index != EXACT or on_cpu():
        return BlockIndex(search, dimension, sample, rows)
    from tdro.retrieval.ondevice import DeviceIndex

    return DeviceIndex(dimension, device())


class Nearest:
    """The passages nearest to some queries among the blocks seen so far.

    Args:
        asked: Embeddings of the queries, float32 of shape (queries, dimension).
        index: What searches a block, as :func:`open_index` gives it. One of a lower dimension searches by the first
            numbers of the embeddings alone, scaled to unit length anew.
        depth: Passages a query.
    """

    def __init__(self, asked: np.ndarray, index: "BlockIndex | DeviceIndex", depth: int) -> None:
        self._index, self._depth = index, depth
        self._asked = self._cut(asked)
        self._best: tuple[Any, Any] = none_yet(len(asked), depth)

    @property
    def best(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and scores, best first, each of shape (queries, depth); row -1 where there are fewer.

        Equal scores are in the order of the rows.
        """
        rows, scores = (found if isinstance(found, np.ndarray) else found.numpy(force=True) for found in self._best)
        return rows, scores

    def look(self, start: int, block: np.ndarray | None) -> None:
        """Search a block, whose first row is number ``start`` of the corpus; None is the one that the index holds."""
        if block is not None:
            self._index.hold(self._cut(block))
        self._best = self._index.better(self._best, start, self._asked, self._depth)

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
        self.index = open_index(search, passages.dimension, self._sample, len(passages))
        self._kept = None if search.index == EXACT else passages.folder / f"index-{_key(passages, search)}"

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
        if self._kept and isinstance(self.index, BlockIndex):
            self._hold_kept(self.index, self._kept / f"{start}.faiss", start, end)
        else:
            self.index.hold(self.passages.slice(start, end, self.index.takes))
        self._held = start

    def _hold_kept(self, index: BlockIndex, file: Path, start: int, end: int) -> None:
        if file.is_file() and read_note(file.with_suffix(".json")).get("crc32") == crc(file):
            index.open(file)
            return
        for folder in set(self.passages.folder.glob("index-*")) - {file.parent}:
            shutil.rmtree(folder)
        index.hold(self.passages.slice(start, end), file)

    def _sample(self, number: int) -> np.ndarray:
        rows = np.random.default_rng(0).permutation(len(self.passages))[:number]
        return self.passages.take(np.sort(rows))


def _key(passages: Embeddings, search: Search) -> str:
    """What a built index depends on; how it is searched (``nprobe``, ``ef_search``) is not among it."""
    import faiss

    content = [search.index, passages.manifest, list(passages.bounds()), faiss.__version__]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
