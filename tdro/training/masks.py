"""Which passages of a batch are no negatives of a query, although they stand in another row.

Many questions may have one answer. Where two of them meet in a batch, the answer of the one would be a negative of the
other. A plan names every passage by its row in the corpus, so those pairs are known before anything is encoded.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tdro.artifacts.lists import Lists


def passages_of(plan: pa.Table) -> np.ndarray:
    """Positive and negatives of each row of a plan, rows of its task's corpus, shape (rows, 1 + m)."""
    negatives = plan["negatives"].combine_chunks().flatten().to_numpy()
    return np.concatenate([plan["positive"].to_numpy()[:, None], negatives.reshape(plan.num_rows, -1)], axis=1)


class KnownPositives:
    """The known positives of every row of a homogeneous plan.

    Args:
        plan: Table of schema ``PLAN``, one task a step.
        positives: For each task, the positives of every query of its ``queries.parquet``, a column of lists of rows of
            the task's corpus.
    """

    def __init__(self, plan: pa.Table, positives: Mapping[str, pa.ChunkedArray]) -> None:
        #: Positive and negatives of each row, shape (rows, 1 + m).
        self._passages = passages_of(plan)
        tasks, queries = plan["task"].to_numpy(zero_copy_only=False), plan["query"].to_numpy()
        self._starts, self._ends = np.empty(len(tasks), np.int64), np.empty(len(tasks), np.int64)
        values, base = [np.empty(0, np.int32)], 0
        for task, column in positives.items():
            lists, of_task = Lists.from_arrow(column), tasks == task
            self._starts[of_task] = base + lists.starts[queries[of_task]]
            self._ends[of_task] = base + lists.starts[queries[of_task] + 1]
            values.append(lists.values)
            base += len(values[-1])
        self._values = np.concatenate(values)

    def mask(self, batch: Tensor, first: int, number: int) -> Tensor:
        """Where a passage of the batch is a positive of a row, but stands for another one.

        Args:
            batch: Numbers in the plan of the rows of all processes, shape (N,).
            first: Place of this process's first row among them.
            number: How many rows this process has, n.

        Returns:
            Bool of shape (n, N * (1 + m)) on the CPU. Passages are ordered as the loss has them: the positives of all
            rows, then all first negatives, and so on. A row's own positive is false where it stands for the row itself,
            and true in every other place.
        """
        rows = batch.cpu().numpy()
        passages = self._passages[rows].T.reshape(-1)
        order = np.argsort(passages, kind="stable")
        owners, known = self._pairs(rows[first : first + number])
        start = np.searchsorted(passages, known, side="left", sorter=order)
        counts = np.searchsorted(passages, known, side="right", sorter=order) - start
        mask = np.zeros((number, len(passages)), dtype=bool)
        mask[np.repeat(owners, counts), order[_ranges(start, counts)]] = True
        mask[np.arange(number), first + np.arange(number)] = False
        return torch.from_numpy(mask)

    def _pairs(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Place of each row among ``rows``, and a passage that it knows as positive, for each such pair."""
        counts = self._ends[rows] - self._starts[rows]
        owners = np.repeat(np.arange(len(rows)), counts)
        return owners, self._values[_ranges(self._starts[rows], counts)]


def _ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The numbers from each start on, as many as its count, one range after the other."""
    return np.arange(counts.sum()) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
