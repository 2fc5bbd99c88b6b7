"""Which rows of a task a plan on some of them sees, such as ``bag80-1``: models of such plans average to a soup."""

import zlib

import numpy as np
import pyarrow as pa

from tdro.config.commands import Bag
from tdro.config.mixturenames import bagged


def in_bag(task: str, rows: pa.Table, bag: Bag, seed: int) -> pa.Table:
    """The rows of a bag, in their order.

    Each query has a number that follows from the task, the bag, the seed and its place in ``queries.parquet``, and the
    rows of the lowest numbers are in. So a row that goes changes the place of no other, beyond one at the bag's edge.

    Args:
        task: Its name.
        rows: Its training rows, schema ``TRAIN``.
        bag: How many rows, and which.
        seed: Of the run: another one has another bag of that name.
    """
    queries = rows["query"].to_numpy()
    numbers = np.random.default_rng([bag.number, seed, zlib.crc32(task.encode())]).random(queries.max(initial=0) + 1)
    lowest = np.argsort(numbers[queries], kind="stable")[: bagged(bag.percent, rows.num_rows)]
    return rows.take(np.sort(lowest))
