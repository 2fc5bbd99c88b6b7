"""Benchmarks in their own formats to Parquet: a corpus, and the query sets that are searched in it.

    prepare_corpus(...)  -> corpus.parquet     once for all query sets of a corpus, such as MKQA's languages
    prepare_queries(...) -> queries.parquet    schema TEST_QUERIES; positives are rows of that corpus

Unlike training data (:mod:`tdro.prepare`) nothing is mended, merged or dropped, for published scores are made so;
only what UTF-8 cannot hold becomes U+FFFD.
"""

import logging
import time
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tdro.artifacts import CORPUS, TEST_QUERIES, replacing, write_table
from tdro.config import Data
from tdro.errors import UserError
from tdro.registry import Source
from tdro.testsets import Document, Topic, open_testset
from tdro.texts import cut, encodable

log = logging.getLogger(__name__)

#: Passages written at a time: a bound on memory, and a line of progress every tenth.
_BLOCK = 1 << 16


def prepare_corpus(name: str, source: Source, part: str | None, data: Data, output: Path) -> None:
    """Write the corpus of a benchmark, streaming.

    Args:
        name: Name of the benchmark, for messages.
        source: Where it lies.
        part: Its part, if it has any and they do not share one corpus.
        data: Passages are cut to ``data.max_words``; published scores need null.
        output: The ``corpus.parquet`` to write.

    Raises:
        UserError: for files that are missing or malformed, or a corpus without passages.
    """
    documents = open_testset(source, part).documents()
    started, number = time.monotonic(), 0
    with replacing(output) as temporary, pq.ParquetWriter(temporary, CORPUS, compression="zstd") as writer:
        for block in _blocks(documents):
            columns = [list(map(encodable, column)) for column in zip(*block, strict=True)]
            columns[2] = [cut(text, data.max_words) for text in columns[2]]
            writer.write_table(pa.table(columns, schema=CORPUS))
            number += len(block)
            if number // _BLOCK % 10 == 0:
                log.info("%s: %d passages, %.0f a second", name, number, number / (time.monotonic() - started))
        if not number:
            raise UserError(f"benchmark {name}: its source holds no passage.")
    log.info("%s: %d passages", name, number)


def prepare_queries(
    name: str, source: Source, part: str | None, limit: int | None, data: Data, corpus: Path, output: Path
) -> None:
    """Write a query set of a benchmark: the queries that can be scored, in their order.

    Args:
        name: Name of the dataset.
        source: Where the benchmark lies.
        part: The part to read.
        limit: Keep so many queries, drawn at random; None keeps all.
        data: Seed of that draw.
        corpus: The ``corpus.parquet`` that is searched.
        output: The ``queries.parquet`` to write.

    Raises:
        UserError: for files that are missing or malformed, or when no query has a relevant passage in the corpus.
    """
    queries = list(open_testset(source, part).queries())
    counts = {"queries that can be scored": len(queries)}
    if limit is not None and limit < len(queries):
        random = np.random.default_rng([data.seed, zlib.crc32(name.encode())])
        queries = [queries[row] for row in sorted(random.permutation(len(queries))[:limit])]
    rows = _rows_of({passage for query in queries for passage in query.grades or ()}, corpus)
    table, missing = _table(queries, rows)
    counts |= {"judged passages that the corpus lacks": missing, "queries": len(table)}
    if missing:
        log.warning("%s: the corpus lacks %d passages that are judged relevant; they are left out", name, missing)
    if not len(table):
        raise UserError(f"benchmark {name}: {corpus} holds none of the relevant passages; prepare it from one source.")
    write_table(output, table, TEST_QUERIES, counts)
    log.info("%s: %s", name, ", ".join(f"{key}: {number}" for key, number in counts.items()))


def _blocks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    stream = iter(documents)
    while block := list(islice(stream, _BLOCK)):
        yield block


def _rows_of(passages: set[str], corpus: Path) -> dict[str, int]:
    """Row of each passage that the corpus holds; the first, should it hold two of one identifier."""
    if not passages:
        return {}
    wanted = pl.LazyFrame({"passage_id": sorted(passages)})
    named = pl.scan_parquet(corpus).select("passage_id").with_row_index("row")
    found = wanted.join(named, on="passage_id").group_by("passage_id").agg(pl.col("row").min()).collect()
    return dict(found.iter_rows())


def _table(queries: list[Topic], rows: dict[str, int]) -> tuple[pa.Table, int]:
    """The queries that have a relevant passage or answers, and how many judged passages are missing."""
    columns: dict[str, list] = {name: [] for name in TEST_QUERIES.names}
    missing = 0
    for query in queries:
        graded = {rows[passage]: grade for passage, grade in (query.grades or {}).items() if passage in rows}
        missing += len(query.grades or ()) - len(graded)
        if query.grades is None or graded:
            grades = None if query.grades is None else list(graded.values())
            values = (query.query_id, encodable(query.text), list(graded), [], grades, query.answers)
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    return pa.table(columns, schema=TEST_QUERIES), missing
