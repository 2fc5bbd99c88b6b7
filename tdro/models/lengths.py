"""Texts of similar length go through a model together: what a forward pass computes on padding is lost."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

#: Share of a batch's tokens that may be padding.
PADDING = 0.05


def batches(lengths: Sequence[int], rows: int, padding: float = PADDING) -> Iterator[list[int]]:
    """Places of texts, longest texts first, in batches of which at most ``padding`` is padding.

    Args:
        lengths: Tokens of each text.
        rows: Texts a batch at most.
        padding: Share of a batch's tokens, its texts filled up to the longest of them.

    Example:
        >>> list(batches([3, 100, 98, 4, 3], rows=2))
        [[1, 2], [3], [0, 4]]
    """
    batch: list[int] = []
    tokens = 0
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if batch:
            area = (len(batch) + 1) * lengths[batch[0]]
            if len(batch) == rows or tokens + lengths[place] < (1 - padding) * area:
                yield batch
                batch, tokens = [], 0
        batch.append(place)
        tokens += lengths[place]
    if batch:
        yield batch


def groups(lengths: Sequence[int], cost: int, most: int | None = None) -> list[list[int]]:
    """Places of texts, shortest texts first, in the groups that cost least.

    A group costs its number of texts times its longest text, and ``cost`` more for being a forward pass of its own.
    Solved exactly, over the distinct lengths (at most the tokens that a model reads).

    Args:
        lengths: Tokens of each text.
        cost: What a forward pass costs beside its tokens, in tokens.
        most: Tokens of a group at most, its texts filled up to the longest; groups above it are cut into even parts. A
            text that is longer is a group of its own.

    Example:
        >>> groups([3, 100, 98, 4, 3], cost=20)
        [[0, 4, 3], [2, 1]]
    """
    order = np.argsort(lengths, kind="stable")
    distinct, counts = np.unique(np.asarray(lengths), return_counts=True)
    ends = np.concatenate([[0], np.cumsum(counts)])
    least = np.zeros(len(ends))  # cost of the texts before each end
    start = np.zeros(len(ends), dtype=int)  # where the last group of that solution starts
    for end in range(1, len(ends)):
        costs = least[:end] + (ends[end] - ends[:end]) * distinct[end - 1] + cost
        start[end] = costs.argmin()
        least[end] = costs[start[end]]
    cuts, end = [], len(ends) - 1
    while end:
        cuts.append(order[ends[start[end]] : ends[end]].tolist())
        end = start[end]
    cuts.reverse()
    return cuts if most is None else [part for cut in cuts for part in _even_parts(cut, lengths, most)]


def packs(lengths: Sequence[int], most: int | None) -> list[list[int]]:
    """Places of texts in groups of at most ``most`` tokens, for a model that pads nothing.

    Args:
        lengths: Tokens of each text.
        most: Tokens of a group; a text that is longer is a group of its own. None makes one group.

    Example:
        >>> packs([3, 100, 98, 4, 3], most=110)
        [[0, 1], [2, 3, 4]]
    """
    packed: list[list[int]] = []
    left = 0.0
    for place, length in enumerate(lengths):
        if not packed or length > left:
            packed.append([])
            left = math.inf if most is None else most
        packed[-1].append(place)
        left -= length
    return packed


def _even_parts(group: list[int], lengths: Sequence[int], most: int) -> list[list[int]]:
    texts = max(1, most // lengths[group[-1]])
    number = -(-len(group) // texts)
    return [part.tolist() for part in np.array_split(group, number)]
