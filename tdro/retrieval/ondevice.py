"""Exact search of a block of the corpus by torch, on the device that a job computes on: products, then the best.

``Nearest(asked, DeviceIndex(384, torch.device("cuda")), 100)`` ranks passages on that device, block by block. The same
code runs on every device of torch; where there is no GPU, faiss is faster (:mod:`tdro.retrieval.indices`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

#: Queries whose scores are on the device at a time.
_QUERIES = 4096
#: Scores that are there at a time, 256 MB of them; choosing the best of them takes about as much again.
_SCORES = 2**26


class DeviceIndex:
    """An exact inner-product index that holds one block of the corpus at a time, on a device.

    Products are of float32 numbers in full precision, without TF32, so that scores are those of faiss but for the last
    bits: 1e-6 of unit vectors. Where two scores are nearer than that, either passage may come first.

    Args:
        dimension: Length of a vector.
        device: Where the block lies and is searched.

    Attributes:
        dimension: As above.
        exact: None, as of an index that is what was asked for.
        takes: The numbers of a block as it is read from disk: half of the bytes go over to the device.
    """

    exact: str | None = None
    takes = np.float16

    def __init__(self, dimension: int, device: torch.device) -> None:
        self.dimension, self._device = dimension, device
        self._block = torch.empty(0, dimension, device=device)

    def hold(self, block: np.ndarray) -> None:
        """Replace the block by another, float16 or float32 of shape (rows, dimension)."""
        self._block = self._here(block).float()

    def better(
        self, best: tuple[np.ndarray, np.ndarray] | tuple[Tensor, Tensor], start: int, queries: np.ndarray, depth: int
    ) -> tuple[Tensor, Tensor]:
        """The best of a ranking and of the block.

        Args:
            best: Rows and scores so far, of passages before the block, shape (queries, depth); as this method or
                :func:`tdro.retrieval.merging.none_yet` gives them. It may be overwritten.
            start: Number of the block's first row in the corpus.
            queries: Float32 of shape (queries, dimension).
            depth: Passages a query.
        """
        parts = [range(at, min(at + _QUERIES, len(queries))) for at in range(0, len(queries), _QUERIES)]
        rows, scores = (self._here(found) for found in best)
        with torch.inference_mode(), _full_precision():
            for part in parts:
                own = slice(part.start, part.stop)
                found = rows[own], scores[own]
                for first, tile in self._scores(self._here(queries[own])):
                    found = _merged(found, _best_of(tile, depth, start + first), depth)
                rows[own], scores[own] = found
        return rows, scores

    def _scores(self, queries: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Scores of the block's passages, a tile after the other, each with the first of its rows."""
        first = 0
        for tile in self._block.split(max(1, _SCORES // len(queries))):
            yield first, queries @ tile.T
            first += len(tile)

    def _here(self, values: np.ndarray | Tensor) -> Tensor:
        return torch.as_tensor(values).to(self._device)


def _best_of(scores: Tensor, depth: int, start: int) -> tuple[Tensor, Tensor]:
    """Rows, counted from ``start``, and scores of the best of each line, equal scores by row; all where they are fewer.

    ``topk`` keeps any of equal scores, in any order. So it is asked for one more, which tells the lines where it has
    cut equal scores apart; these are sorted as a whole.
    """
    passages = scores.shape[1]
    values, columns = scores.topk(min(depth + 1, passages))
    if depth < passages:
        cut = (values[:, depth - 1] == values[:, depth]).nonzero().flatten()
        values, columns = values[:, :depth], columns[:, :depth]
        for few in cut.split(max(1, _SCORES // 8 // passages)):
            in_order, places = scores[few].sort(descending=True, stable=True)
            values[few], columns[few] = in_order[:, :depth], places[:, :depth]
    columns, order = columns.sort()
    values, order = values.gather(1, order).sort(descending=True, stable=True)
    return columns.gather(1, order) + start, values


def _merged(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], depth: int) -> tuple[Tensor, Tensor]:
    """What :func:`tdro.retrieval.merging.merged` does, on the device."""
    rows, scores = (torch.hstack(pair) for pair in zip(one, other, strict=True))
    scores, order = scores.sort(descending=True, stable=True)
    return rows.gather(1, order[:, :depth]), scores[:, :depth]


@contextmanager
def _full_precision():
    """Products of float32 numbers as such, whatever the process computes with otherwise."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
