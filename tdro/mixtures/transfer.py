"""Which task helps which, read off the experts of merged training: a table, and shares made of it.

The expert of `faq` has seen more of `faq` than the warm-up that all experts start from. If its loss on the dev queries
of `forum` is a tenth below the warm-up's, `faq` helps `forum`: 0.1 stands in the row of `forum`, the column of `faq`.
"""

from collections.abc import Sequence

import numpy as np

#: How much a task that helps the others most gets above one that neither helps nor harms: exp(2), seven times.
ETA = 2.0


def transfer_table(experts: np.ndarray, warm: np.ndarray) -> np.ndarray:
    """What each expert takes off each dev loss, as a share of it: (y_j(warm) - y_j(expert k)) / y_j(warm).

    Args:
        experts: Dev losses of each expert, shape (dev tasks, experts).
        warm: Those of the warm-up, above 0, shape (dev tasks,).

    Returns:
        Shape (dev tasks, experts), above 0 where the expert helps.
    """
    return (warm[:, None] - experts) / warm[:, None]


def transfer_shares(table: np.ndarray, own: Sequence[int | None], eta: float = ETA) -> np.ndarray:
    """Shares of the tasks by how much they help others: alpha_k ~ exp(eta g_k).

    g_k is the mean of column k over the dev tasks that are not of task k itself, divided by the largest absolute value
    of these means.

    Args:
        table: Shape (dev tasks, tasks).
        own: The task that each dev task is of, by its column; None for a benchmark that no task is of.
        eta: How far apart shares are; 0 makes all alike.

    Returns:
        Shape (tasks,), sum 1; all alike where no task helps or harms another.

    Raises:
        ValueError: when the only dev task is a task's own.
    """
    others = np.array([[owner != task for task in range(table.shape[1])] for owner in own])
    if not others.any(axis=0).all():
        raise ValueError("a task whose own dev queries are the only ones helps no other; add dev queries of others")
    helped = np.where(others, table, 0).sum(axis=0) / others.sum(axis=0)
    largest = np.abs(helped).max()
    shares = np.exp(eta * helped / largest) if largest > 0 else np.ones(table.shape[1])
    return shares / shares.sum()
