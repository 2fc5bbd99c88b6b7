"""Leak check: evaluation queries that still have a near-duplicate among the queries that are trained on.

Whatever was removed, replaced or added by hand before, this looks at the training rows as they are.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from tdro.artifacts import LEAKS, QUERIES, TRAIN, read_table, write_table
from tdro.config import Dedup
from tdro.errors import UserError
from tdro.fingerprints import fingerprints
from tdro.nearduplicates import closest

log = logging.getLogger(__name__)


def leaks(
    evaluation: Mapping[str, Path], training: Mapping[str, tuple[Path, Path]], output: Path, settings: Dedup
) -> None:
    """Count the evaluation queries that are near to a training query of any task.

    Args:
        evaluation: ``queries.parquet`` of each dataset that is evaluated on, by name.
        training: ``queries.parquet`` and ``train.parquet`` of each task, by name.
        output: The ``leaks.parquet`` to write, a row a dataset.
        settings: How near is too near, as in deduplication.

    Raises:
        UserError: for a missing file, or training rows that name queries which the task lacks.
    """
    texts = {name: read_table(path, QUERIES)["query"].to_pylist() for name, path in evaluation.items()}
    asked = fingerprints(text for queries in texts.values() for text in queries)
    leaked = np.zeros(len(asked), dtype=bool)
    for task, (queries, train) in training.items():
        near = closest(asked, fingerprints(_trained(queries, train)), settings.distance)["left"].to_numpy()
        leaked[near] = True
        log.info("%s: %d evaluation queries have a near-duplicate in it", task, len(near))
    sizes = [len(queries) for queries in texts.values()]
    found = [int(part.sum()) for part in np.split(leaked, np.cumsum(sizes)[:-1])] if sizes else []
    write_table(output, pa.table({"dataset": list(texts), "queries": sizes, "leaked": found}, schema=LEAKS), LEAKS)
    log.info("%d of %d evaluation queries have a near-duplicate in training", leaked.sum(), len(leaked))


def _trained(queries: Path, train: Path) -> list[str]:
    """The queries that a task trains on."""
    texts, rows = read_table(queries, QUERIES)["query"], read_table(train, TRAIN)["query"]
    if len(rows) and max(rows.to_pylist()) >= len(texts):
        raise UserError(f"{train} names a query that {queries} lacks; delete it and let the workflow make it again.")
    return texts.take(rows).to_pylist()
