"""Corpora that are read piece by piece, because they need not fit into memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from tdro.artifacts.files import check_columns, column_names, count_rows, read_batches, read_table, verified
from tdro.artifacts.schemas import CORPUS, SAMPLED_CORPUS
from tdro.errors import UserError
from tdro.text.relations import written
from tdro.text.strings import cut

#: Passages read at a time.
BLOCK = 8192


def passages(corpus: Path) -> int:
    """Number of passages.

    Raises:
        UserError: for a file that is no corpus, or an empty one.
    """
    check_columns(corpus, CORPUS)
    number = count_rows(corpus)
    if not number:
        raise UserError(f"{corpus} holds no passage; evaluation needs at least one.")
    return number


def blocks(
    corpus: Path, columns: Sequence[str] = ("title", "text"), first: int = 0, end: int | None = None
) -> Iterator[tuple[int, pa.Table]]:
    """Texts of a corpus from row ``first`` to the one before ``end``: the first row of each piece, and the piece."""
    texts = pa.schema([(name, pa.string()) for name in columns])
    for table in read_batches(corpus, texts, BLOCK, first, end):
        yield first, table
        first += len(table)


def chosen(corpus: Path, rows: np.ndarray, columns: Sequence[str]) -> Iterator[tuple[np.ndarray, pa.Table]]:
    """Some rows (sorted, distinct) of the corpus, piece by piece: the rows of each piece, and their texts."""
    for start, table in blocks(corpus, columns):
        first, end = np.searchsorted(rows, [start, start + len(table)])
        if first < end:
            yield rows[first:end], table.take(rows[first:end] - start)


def whole_rows(corpus: Path) -> np.ndarray | None:
    """Of a sampled corpus the row of each passage in the whole one, rising; None for a whole corpus."""
    if "whole_row" not in column_names(corpus):
        return None
    return read_table(corpus, pa.schema([SAMPLED_CORPUS.field("whole_row")]))["whole_row"].to_numpy()


def own_passages(
    corpus: Path, query_ids: Sequence[str], texts: Sequence[str], max_words: int | None = None
) -> dict[int, int]:
    """Row of the passage that a query itself is, by the query's place; queries that are none are left out.

    A query is a passage when they have one identifier and are the same text, with or without the passage's title;
    identifiers alone may be equal by chance, and "zinc" is not the passage that explains zinc.

    Args:
        corpus: The ``corpus.parquet`` that is searched.
        query_ids: Identifiers of the queries.
        texts: Their texts.
        max_words: Number of words that longer passages were cut to.
    """
    queries = pl.LazyFrame({"passage_id": query_ids, "query": texts}).with_row_index("place")
    held = pl.scan_parquet(verified(corpus)).with_row_index("row")
    same = held.join(queries, on="passage_id").select("place", "row", "query", "title", "text").collect()
    return {
        place: row for place, row, query, title, text in same.iter_rows() if _is_passage(query, title, text, max_words)
    }


def _is_passage(query: str, title: str, text: str, max_words: int | None) -> bool:
    behind_title = f"{written(query)} ".removeprefix(f"{written(title)} ")
    return written(text) in (written(cut(query, max_words)), written(cut(behind_title, max_words)))
