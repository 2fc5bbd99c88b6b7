"""Run files in TREC's format: ``query-id Q0 passage-id rank score tag``, best passage first."""

from pathlib import Path

import numpy as np

from tdro.artifacts.files import replacing
from tdro.data.corpora import chosen


def write_run(path: Path, corpus: Path, query_ids: list[str], rows: np.ndarray, scores: np.ndarray) -> None:
    """Write a ranking.

    Args:
        path: File to write.
        corpus: The ``corpus.parquet`` that was searched, for the identifiers.
        query_ids: Of the queries, in order.
        rows: Rows of the corpus, best first, shape (queries, depth); -1 is no passage.
        scores: Their scores.
    """
    wanted = np.unique(rows[rows >= 0])
    names: list[str] = []
    for _, table in chosen(corpus, wanted, ("passage_id",)):
        names += table["passage_id"].to_pylist()
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for query_id, found, values in zip(query_ids, rows, scores.tolist(), strict=True):
            places = np.searchsorted(wanted, found[found >= 0]).tolist()
            for rank, (place, score) in enumerate(zip(places, values, strict=False), start=1):
                file.write(f"{query_id} Q0 {names[place]} {rank} {score:.6f} tdro\n")
