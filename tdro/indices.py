"""faiss indices by their factory string: made, checked, filled block by block."""

import numpy as np

from tdro.config import Search
from tdro.errors import UserError

#: Vectors a list that an IVF index is trained on; faiss asks for at least 39.
_TRAINING_ROWS = 64


def check_index(factory: str) -> None:
    """Refuse a string that faiss cannot read, whatever the embeddings.

    Raises:
        UserError: for such a string.
    """
    if factory == "Flat":  # spares loading faiss
        return
    import faiss

    try:
        faiss.index_factory(768, factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        if "parse" in str(error):  # others may depend on the dimension
            raise UserError(
                f"`mining.search.index`: faiss knows no index {factory!r}; write Flat, IVF4096,Flat or HNSW32."
            ) from None


class BlockIndex:
    """An inner-product index that holds one block of the corpus at a time.

    Args:
        search: The validated section ``mining.search``.
        dimension: Length of a vector.
        sample: Vectors to train on, for an index that is trained; see :func:`training_rows`.

    Raises:
        UserError: when faiss cannot make or train the index.
    """

    def __init__(self, search: Search, dimension: int, sample) -> None:
        import faiss

        try:
            self._index = faiss.index_factory(dimension, search.index, faiss.METRIC_INNER_PRODUCT)
            if not self._index.is_trained:
                self._index.train(sample(training_rows(search.index)))
            for name, value in (("nprobe", search.nprobe), ("efSearch", search.ef_search)):
                if value is not None:
                    faiss.ParameterSpace().set_index_parameter(self._index, name, value)
        except RuntimeError as error:
            reason = " ".join(str(error).split(": ", 1)[-1].split())
            raise UserError(f"`mining.search.index` {search.index!r} cannot be used ({reason}); change it.") from None
        self._search = self._index

    def hold(self, block: np.ndarray) -> None:
        """Replace the block by another, float32 of shape (rows, dimension)."""
        self._search = self._index
        self._index.reset()
        self._index.add(block)
        self._search = _on_gpus(self._index)

    def search(self, queries: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and rows within the block of the best ``depth``; row -1 where there are fewer."""
        return self._search.search(queries, min(depth, self._index.ntotal))


def merge(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best of two rankings, each as rows and scores of shape (queries, any); ties in the order of rows."""
    rows, scores = (np.hstack(pair) for pair in zip(one, other, strict=True))
    order = np.lexsort((rows, -scores))[:, :depth]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)


def training_rows(factory: str) -> int:
    """How many vectors an index should be trained on."""
    numbers = [int(part[3:].split("_")[0]) for part in factory.split(",") if part[:3] == "IVF" and part[3:4].isdigit()]
    return _TRAINING_ROWS * max([256, *numbers])


def _on_gpus(index):
    """``index`` split over all GPUs that faiss can use; itself when there are none, or for an HNSW graph."""
    import faiss

    if not faiss.get_num_gpus() or isinstance(faiss.downcast_index(index), faiss.IndexHNSW):
        return index
    options = faiss.GpuMultipleClonerOptions()
    options.shard = True
    return faiss.index_cpu_to_all_gpus(index, options)
