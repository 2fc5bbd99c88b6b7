"""faiss indices by their factory string: made, checked, filled block by block, kept on disk."""

import logging
from pathlib import Path

import numpy as np

from tdro.artifacts.files import replacing, write_json
from tdro.artifacts.sums import crc
from tdro.config.mining import Search
from tdro.errors import UserError
from tdro.models.processes import told_cpu
from tdro.retrieval.merging import merged

log = logging.getLogger(__name__)

#: The index that compares each query with all passages.
EXACT = Search().index
#: Vectors a list that an IVF index is trained on.
_TRAINING_ROWS = 64
#: Vectors a list, or a code of a product quantizer, that faiss asks for at least.
_FEWEST_ROWS = 39
#: Below so many vectors, those of a quantizer of 256 codes, exact search takes no time worth saving.
_FEW = _FEWEST_ROWS * 256


def check_index(search: Search) -> None:
    """Refuse an index that faiss cannot read, or parameters that it does not have, whatever the embeddings.

    Raises:
        UserError: for such a section ``mining.search``.
    """
    if search == Search(depth=search.depth):  # exact; spares loading faiss
        return
    import faiss

    try:
        index = faiss.index_factory(768, search.index, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        if "parse" in str(error):  # others may depend on the dimension
            raise UserError(
                f"`mining.search.index`: faiss knows no index {search.index!r}; write Flat, IVF4096,Flat or HNSW32."
            ) from None
        return
    _set_parameters(index, search)


def _set_parameters(index, search: Search) -> None:
    import faiss

    for key, name, kind in (("nprobe", "nprobe", "IVF"), ("ef_search", "efSearch", "HNSW")):
        value = getattr(search, key)
        try:
            if value is not None:
                faiss.ParameterSpace().set_index_parameter(index, name, value)
        except RuntimeError:
            raise UserError(
                f"`mining.search.{key}` is for an {kind} index and cannot be used with {search.index!r}; remove it or "
                "change `mining.search.index`."
            ) from None


class BlockIndex:
    """An inner-product index of faiss that holds one block of the corpus at a time.

    It searches exactly where there are fewer vectors than the index asks for. What has to be trained is trained when it
    first holds a block.

    Args:
        search: The validated section ``mining.search``.
        dimension: Length of a vector.
        sample: Gives vectors to train on, for an index that is trained; see :func:`training_rows`.
        rows: Vectors of the whole corpus.

    Attributes:
        dimension: Length of a vector.
        exact: Why the search is exact although another index was asked for; None otherwise, or as long as it has held
            no block.
        takes: The numbers of a block as it is read from disk.

    Raises:
        UserError: when faiss cannot make the index.
    """

    takes = np.float32

    def __init__(self, search: Search, dimension: int, sample=None, rows: int = 0) -> None:
        import faiss

        self._name, self.dimension, self._settings = search.index, dimension, search
        self.exact: str | None = None
        try:
            # What is searched has the parameters of this run; what is filled and kept has none.
            self._index, another = (
                faiss.index_factory(dimension, search.index, faiss.METRIC_INNER_PRODUCT) for _ in range(2)
            )
        except RuntimeError as error:
            raise self._unusable(error) from None
        _set_parameters(another, search)
        self._sample, self._corpus = sample, rows
        self._search, self._rows = self._index, 0

    def _train(self) -> None:
        asked = _FEWEST_ROWS * _centroids(self._index)
        if self._corpus < asked:
            self._index = self._flat(f"it asks for {asked} passages to train on and there are {self._corpus}")
            return
        try:
            self._index.train(self._sample(training_rows(self._name)))
        except RuntimeError as error:
            if self._corpus >= _FEW:
                raise self._unusable(error) from None
            self._index = self._flat(f"faiss cannot train it on {self._corpus} passages")

    def _flat(self, reason: str):
        """An exact index in the place of the one that was asked for."""
        import faiss

        if not self.exact:
            log.warning("index %s: %s; the search is exact instead", self._name, reason)
        self.exact = reason
        return faiss.IndexFlatIP(self.dimension)

    def _unusable(self, error: RuntimeError) -> UserError:
        reason = " ".join(str(error).split(": ", 1)[-1].split())
        return UserError(f"`mining.search.index` {self._name!r} cannot be used ({reason}); change it.")

    def hold(self, block: np.ndarray, file: Path | None = None) -> None:
        """Replace the block by another, float32 of shape (rows, dimension).

        Args:
            block: Its vectors.
            file: Where the index of the block is kept for :meth:`open`, unless it is exact; None keeps none.

        Raises:
            UserError: when faiss cannot train or fill the index.
        """
        if not self._index.is_trained:
            self._train()
        self._index.reset()
        self._rows = len(block)
        try:
            self._index.add(block)
        except RuntimeError as error:  # a graph may need more vectors than the last block has
            if len(block) >= _FEW:
                raise self._unusable(error) from None
            self._search = self._flat(f"faiss cannot build it of {len(block)} passages")
            self._search.add(block)
            return
        if file and not self.exact:
            self._write(file)
            self.open(file)
        else:
            self._search = self._index

    def _write(self, file: Path) -> None:
        import faiss

        with replacing(file) as temporary:
            with temporary.open("wb") as written:
                # With a path, faiss tells nobody that the end of a file found no room.
                faiss.write_index(self._index, faiss.PyCallbackIOWriter(written.write))  # type: ignore[attr-defined]
            write_json(file.with_suffix(".json"), {"crc32": crc(temporary)})
        self._index.reset()  # it is searched from the file

    def open(self, file: Path) -> None:
        """Hold the block whose index :meth:`hold` has kept in ``file``, memory-mapped."""
        import faiss

        inverted = faiss.try_extract_index_ivf(self._index) is not None
        index = faiss.read_index(str(file), faiss.IO_FLAG_MMAP if inverted else faiss.IO_FLAG_MMAP_IFC)
        _set_parameters(index, self._settings)
        self._search, self._rows = _on_gpus(index), index.ntotal

    def better(
        self, best: tuple[np.ndarray, np.ndarray], start: int, queries: np.ndarray, depth: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best of a ranking and of the block.

        Args:
            best: Rows and scores so far, of passages before the block, shape (queries, depth).
            start: Number of the block's first row in the corpus.
            queries: Float32 of shape (queries, dimension).
            depth: Passages a query.
        """
        scores, rows = self.search(queries, depth)
        rows[rows >= 0] += start
        return merged(best, (rows, scores), depth)

    def search(self, queries: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and rows within the block of the best ``depth``, equal scores by row; row -1 where there are fewer.

        Where an exact search finds equal scores at the end of a list, the first rows are kept.
        """
        depth = min(depth, self._rows)
        if self._name != EXACT:
            return _by_row(*self._search.search(queries, depth))
        return self._first_rows(queries, depth, min(depth + 1, self._rows))

    def _first_rows(self, queries: np.ndarray, depth: int, deeper: int) -> tuple[np.ndarray, np.ndarray]:
        """The same by a list of ``deeper`` rows, and a longer one for queries whose equal scores it may cut.

        faiss drops the first of equal scores when a better one comes, so that a list as long as it is asked for would
        depend on the order of the others.
        """
        scores, rows = _by_row(*self._search.search(queries, min(deeper, self._rows)))
        cut = np.flatnonzero(scores[:, depth - 1] == scores[:, -1]) if depth < scores.shape[1] < self._rows else []
        scores, rows = scores[:, :depth], rows[:, :depth]
        if len(cut):
            scores[cut], rows[cut] = self._first_rows(queries[cut], depth, 2 * deeper)
        return scores, rows


def _by_row(scores: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same lists, which are best first, with equal scores in the order of the rows."""
    some = np.flatnonzero((scores[:, 1:] == scores[:, :-1]).any(axis=1))
    order = np.lexsort((rows[some], -scores[some]))
    scores[some] = np.take_along_axis(scores[some], order, axis=1)
    rows[some] = np.take_along_axis(rows[some], order, axis=1)
    return scores, rows


def _centroids(index) -> int:
    """How many lists, or codes of a quantizer, an index has to find by training; 1 where it finds none."""
    import faiss

    ivf = faiss.try_extract_index_ivf(index)
    inner = faiss.downcast_index(index)
    while isinstance(inner, faiss.IndexPreTransform):
        inner = faiss.downcast_index(inner.index)
    inner = faiss.downcast_index(inner.storage) if isinstance(inner, faiss.IndexHNSW) else inner
    quantizer = getattr(inner, "pq", None)
    return max(1, ivf.nlist if ivf else 1, quantizer.ksub if quantizer else 1)


def training_rows(factory: str) -> int:
    """How many vectors an index should be trained on."""
    numbers = [int(part[3:].split("_")[0]) for part in factory.split(",") if part[:3] == "IVF" and part[3:4].isdigit()]
    return _TRAINING_ROWS * max([256, *numbers])


def _on_gpus(index):
    """``index`` split over all GPUs that faiss can use; itself when there are none, or for an HNSW graph."""
    import faiss

    if told_cpu() or not faiss.get_num_gpus() or isinstance(faiss.downcast_index(index), faiss.IndexHNSW):
        return index
    options = faiss.GpuMultipleClonerOptions()
    options.shard = True
    return faiss.index_cpu_to_all_gpus(index, options)
