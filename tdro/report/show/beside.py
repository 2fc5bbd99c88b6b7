"""The texts that an artifact names by rows of other files, found by where it lies."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from tdro.artifacts.files import count_rows, read_rows, verified
from tdro.artifacts.layout import Layout, whole
from tdro.artifacts.schemas import CORPUS, QUERIES
from tdro.data.corpora import whole_rows
from tdro.text.strings import passage_text

_CORPUS, _QUERIES = "corpus.parquet", "queries.parquet"


class Data:
    """Queries and passages of one dataset by their rows.

    Args:
        corpus: Its corpus.parquet; None or missing: passages have no texts.
        queries: Its queries.parquet, likewise.
    """

    def __init__(self, corpus: Path | None, queries: Path | None = None) -> None:
        self.corpus = corpus if corpus and corpus.is_file() else None
        self.queries = queries if queries and queries.is_file() else None

    def passages(self, rows: Iterable[int]) -> dict[int, str]:
        """Texts of passages; those that are not there are left out."""
        places = self.places(rows)
        found = self.searched(places.values())
        return {row: found[place] for row, place in places.items()}

    def searched(self, rows: Iterable[int]) -> dict[int, str]:
        """Texts of passages by their rows in the very file, whole or sampled."""
        rows = [row for row in rows if self.corpus and 0 <= row < count_rows(self.corpus)]
        return {row: _text(one) for row, one in read_rows(self.corpus, CORPUS, rows).items()} if rows else {}

    def asked(self, query_id: str) -> dict | None:
        """A query by its identifier; None where it is not at hand."""
        if not self.queries:
            return None
        found = pl.scan_parquet(verified(self.queries)).filter(pl.col("query_id") == query_id).collect()
        return found.to_dicts()[0] if len(found) else None

    def queried(self, rows: Iterable[int]) -> dict[int, str]:
        """Texts of queries; those that are not there are left out."""
        return {row: one["query"] or "" for row, one in self._rows(rows).items()}

    def positives(self, rows: Iterable[int]) -> dict[int, list[int]]:
        """Rows of the passages that answer queries; queries that are not there are left out."""
        return {row: one["positives"] for row, one in self._rows(rows).items()}

    def _rows(self, rows: Iterable[int]) -> dict[int, dict]:
        there = count_rows(self.queries) if self.queries else 0
        rows = [row for row in set(rows) if 0 <= row < there]
        return read_rows(self.queries, QUERIES, rows) if rows else {}

    def places(self, rows: Iterable[int]) -> dict[int, int]:
        """Where the corpus has each row: a sampled corpus has few of them, and says which."""
        rows = list(rows)
        if not self.corpus or not rows:
            return {}
        if (kept := whole_rows(self.corpus)) is None:
            there = count_rows(self.corpus)
            return {row: row for row in rows if 0 <= row < there}
        places = np.searchsorted(kept, rows)
        found = zip(rows, places.tolist(), strict=True)
        return {row: place for row, place in found if place < len(kept) and kept[place] == row}


def of_folder(path: Path) -> Data:
    """The dataset whose folder a file lies in, or a folder above it (``dev/queries.parquet``)."""
    folder = path.parent if (path.parent / _CORPUS).is_file() else path.parent.parent
    return Data(folder / _CORPUS, folder / _QUERIES)


def of_task(results: Path | None, task: str) -> Data:
    """A training task."""
    layout = Layout(results or "results")
    return Data(Path(layout.task(task, _CORPUS)), Path(layout.task(task, _QUERIES)))


def of_dataset(results: Path | None, name: str) -> Data:
    """A task or a benchmark."""
    layout = Layout(results or "results")
    task = of_task(results, name)
    corpus, queries = (Path(layout.benchmark(name, file)) for file in (_CORPUS, _QUERIES))
    return task if task.queries else Data(corpus, queries)


def test_set(results: Path, name: str) -> Data:
    """A benchmark or a part of it, or what is held out of a task; a preview has the corpus that is a sample."""
    layout = Layout(results)
    corpus, queries = layout.benchmark(name, _CORPUS), layout.benchmark(whole(name), _QUERIES)
    if not Path(queries).is_file():
        corpus, queries = layout.held_out(name, _CORPUS), layout.held_out(name, _QUERIES)
    return Data(Path(corpus), Path(queries))


def results_of(path: Path) -> Path | None:
    """The folder of results that a file lies in; None where it lies elsewhere."""
    whole = path.absolute()
    return next((folder for folder in whole.parents if (folder / "data").is_dir()), None)


def _text(passage: dict) -> str:
    return passage_text(passage["title"] or "", passage["text"] or "")
