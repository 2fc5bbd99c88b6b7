"""Several processes make the shards of one workspace or more together, and the main one brings them where they belong.

Processes that ``accelerate launch`` starts claim shard by shard. A killed run goes on with the first one missing.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tdro.models.processes import processes
from tdro.progress import Progress
from tdro.retrieval.shards import Workspace

log = logging.getLogger(__name__)

P = TypeVar("P", bound="Part")
M = TypeVar("M")


@dataclass(frozen=True, eq=False)
class Part:
    """Rows whose shards are made in one workspace.

    Attributes:
        name: What they are called in the log.
        workspace: Where their shards are made.
        rows: How many they are.
        size: Rows of a shard; the last one has fewer.
        pieces: Gives what each shard is made of, from the first.
    """

    name: str
    workspace: Workspace
    rows: int
    size: int
    pieces: Callable[[], Iterable[Any]]

    @property
    def shards(self) -> int:
        """How many shards they are."""
        return -(-self.rows // self.size)

    def publish(self, output: Path) -> dict[str, Any]:
        """Put the shards, all of them finished, into ``output``, with their manifest, which is returned."""
        return self.workspace.publish(output, self.shards, self.rows, self.size)


def make_shards(
    parts: Sequence[P],
    load: Callable[[], M],
    make: Callable[[M, P, Any, Progress], tuple[np.ndarray, dict[str, int]]],
    progress: tuple[str, str],
    finish: Callable[[], None],
) -> M | None:
    """Make the shards that are missing; all processes call it.

    Args:
        parts: What is made; a part is begun when all shards of the one before it are claimed.
        load: Loads the model, when this process has claimed its first shard.
        make: Makes of a piece of a part the rows of a shard and the counts beside them, and tells the progress.
        progress: What is done, and with what: ``encoded``, ``texts``.
        finish: Called by the main process when all shards are there, while the others wait.

    Returns:
        What ``load`` gave; None where other processes have made all.
    """
    for part in parts:
        part.workspace.open()
    missing = {part: part.workspace.missing(part.shards) for part in parts}
    total = sum(part.shards for part in parts)
    log.info("%d of %d shards are there", total - sum(map(len, missing.values())), total)
    rows = sum(min(part.size, part.rows - n * part.size) for part, numbers in missing.items() for n in numbers)
    told, model = Progress(*progress, rows, processes().num_processes), None
    for part in (part for part, numbers in missing.items() if numbers):
        for number, piece in enumerate(part.pieces()):
            if part.workspace.claim(number):
                if model is None:
                    model = load()
                    told.reach(0, told.total)  # the clock starts when the model is there
                part.workspace.write(number, *make(model, part, piece, told))
                log.info("shard %d of %s written", number, part.name)
    processes().wait_for_everyone()
    if processes().is_main_process:
        finish()
    processes().wait_for_everyone()
    return model
