"""Batches of texts of similar length: what a forward pass computes on padding is lost."""

from collections.abc import Iterator, Sequence

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
