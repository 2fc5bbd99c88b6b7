"""The mean embedding of each mined task, for the mixture `chameleon`: one pass over what `encode` has stored.

FOLDER/embeddings/corpus/, FOLDER/embeddings/queries/ -> task_means.parquet
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import TASK_MEANS
from tdro.errors import UserError
from tdro.retrieval.shards import Embeddings

log = logging.getLogger(__name__)


def task_means(folders: Sequence[Path], output: Path) -> None:
    """Write the mean embedding of each task: half that of its queries and half that of its passages.

    So a corpus of a million passages does not hide what is asked of it.

    Args:
        folders: Of each task, with its ``embeddings/``; their names are the tasks'.
        output: Table of schema ``TASK_MEANS``.

    Raises:
        UserError: when embeddings are missing, or those of two tasks have other dimensions.
    """
    means: dict[str, np.ndarray] = {}
    for folder in folders:
        sides = [Embeddings(folder / "embeddings" / side) for side in ("queries", "corpus")]
        means[folder.name] = np.mean([_mean(side) for side in sides], axis=0)
        log.info("%s: the mean of %d queries and %d passages", folder.name, *map(len, sides))
    if len({len(mean) for mean in means.values()}) > 1:
        raise UserError(
            f"the embeddings of {', '.join(means)} have different dimensions, so they are of different miners; "
            "encode them again with one."
        )
    write_table(output, {"task": list(means), "mean": list(means.values())}, TASK_MEANS)


def _mean(embeddings: Embeddings) -> np.ndarray:
    """Of all rows, shape (dimension,), summed in float64."""
    sums = [embeddings.slice(*bounds).sum(axis=0, dtype=np.float64) for bounds in embeddings.bounds()]
    return np.sum(sums, axis=0) / len(embeddings)
