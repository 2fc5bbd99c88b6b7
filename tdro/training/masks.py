"""Which passages of a batch are no negatives of a query, although they stand in another row.

Many questions may have one answer. Where two of them meet in a batch, the answer of the one would be a negative of the
other. A plan names every passage by its row in the corpus, so those pairs are known before anything is encoded.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tdro.artifacts.lists import Lists, ranges


def passages_of(plan: pa.Table) -> np.ndarray:
    """Positive and negatives of each row of a plan, rows of its task's corpus, shape (rows, 1 + m)."""
    negatives = plan["negatives"].combine_chunks().flatten().to_numpy()
    return np.concatenate([plan["positive"].to_numpy()[:, None], negatives.reshape(plan.num_rows, -1)], axis=1)


def rows_by_task(plan: pa.Table) -> dict[str, np.ndarray]:
    """The rows of a plan that each of its tasks has, rising."""
    tasks = plan["task"].combine_chunks().dictionary_encode()
    numbers = tasks.indices.to_numpy()
    ends = np.bincount(numbers).cumsum()[:-1]
    parts = np.split(np.argsort(numbers, kind="stable"), ends)
    return dict(zip(tasks.dictionary.to_pylist(), parts, strict=True))


class KnownPositives:
    """The known positives of every row of a homogeneous plan.

    Args:
        plan: Table of schema ``PLAN``, one task a step.
        positives: Each task, with the positives of every query of its ``queries.parquet``, a column of lists of rows of
            the task's corpus. Only those of the plan's queries are kept.
    """

    def __init__(self, plan: pa.Table, positives: Iterable[tuple[str, pa.ChunkedArray]]) -> None:
        #: Positive and negatives of each row, shape (rows, 1 + m).
        self._passages = passages_of(plan)
        rows, queries = rows_by_task(plan), plan["query"].to_numpy()
        self._list_of, lists, before = np.empty(len(plan), np.int64), [], 0
        for task, column in positives:
            named, places = np.unique(queries[rows[task]], return_inverse=True)
            self._list_of[rows[task]] = before + places
            lists += column.take(pa.array(named)).chunks
            before += len(named)
        self._known = Lists.from_arrow(pa.chunked_array(lists))

    def mask(self, batch: Sequence[int], first: int, number: int) -> Tensor:
        """Where a passage of the batch is a positive of a row, but stands for another one.

        Args:
            batch: Numbers in the plan of the rows of all processes, N of them.
            first: Place of this process's first row among them.
            number: How many rows this process has, n.

        Returns:
            Bool of shape (n, N * (1 + m)) on the CPU. Passages are ordered as the loss has them: the positives of all
            rows, then all first negatives, and so on. A row's own positive is false where it stands for the row itself,
            and true in every other place.
        """
        rows = np.asarray(batch)
        passages = self._passages[rows].T.reshape(-1)
        order = np.argsort(passages, kind="stable")
        known = self._known.take(self._list_of[rows[first : first + number]])
        start = np.searchsorted(passages, known.values, side="left", sorter=order)
        counts = np.searchsorted(passages, known.values, side="right", sorter=order) - start
        mask = np.zeros((number, len(passages)), dtype=bool)
        mask[np.repeat(known.owners(), counts), order[ranges(start, counts)]] = True
        mask[np.arange(number), first + np.arange(number)] = False
        return torch.from_numpy(mask)
