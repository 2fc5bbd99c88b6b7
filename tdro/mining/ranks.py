"""Out of which ranks hard negatives are drawn, by the size of the corpus.

In 1,000 passages ranks 2 to 100 are the nearest tenth. In 150 they are two thirds of all, and most of them as far
from the query as a passage drawn at random (docs/algorithm.md has the figures).
"""

import logging

from tdro.config.mining import NEAREST, RANKS, Select

log = logging.getLogger(__name__)


def nearest(passages: int) -> int:
    """The rank before which the share of a corpus ends that is called near: 15 of 150 passages, 100 of 1,000."""
    return -(-passages // NEAREST)


def ranks_of(settings: Select, passages: int) -> tuple[int, int]:
    """First rank, and the rank before which to stop, in a corpus of so many passages.

    Without ``ranks``: those of the released code, but no more than the nearest tenth of a small corpus, unless
    ``samples`` take more.
    """
    if settings.ranks:
        return settings.ranks
    first, end = RANKS
    return first, min(end, max(nearest(passages), first + settings.samples))


def tell(settings: Select, passages: int) -> None:
    """Log the ranks; warn where the configuration's reach far into the corpus."""
    first, end = ranks_of(settings, passages)
    log.info("ranks %d to %d of %d passages", first, end, passages)
    if not settings.ranks or end <= nearest(passages):
        return
    without = ranks_of(settings.model_copy(update={"ranks": None}), passages)
    if end > without[1]:
        log.warning(
            "ranks %d to %d reach behind the nearest tenth of %d passages, where most are no nearer than random ones; "
            "leave `mining.select.ranks` out, which stops before rank %d, or give the task more passages",
            first, end, passages, without[1],
        )  # fmt: skip
