"""The queries of a benchmark in its own format to ``queries.parquet``; their positives are rows of its corpus.

A relevant passage that the corpus lacks cannot be found, and counts as one that was not: as in trec_eval it stays in
the ideal ranking, and its query stays, too.
"""

import logging
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from tdro.artifacts.digests import write_digests
from tdro.artifacts.files import verified, write_table
from tdro.artifacts.schemas import TEST_QUERIES
from tdro.config.data import Data
from tdro.config.registry import Source
from tdro.errors import UserError
from tdro.readers.testsets.base import Topic, open_testset

log = logging.getLogger(__name__)

_LACKING = "relevant passages that the corpus lacks"
_LOST = "queries of which it lacks all relevant passages"
_REPEATED = "relevant passages whose identifier comes twice"


def prepare_queries(
    name: str, source: Source, part: str | None, limit: int | None, data: Data, corpus: Path, output: Path
) -> None:
    """Write a query set of a benchmark: the queries with a relevant passage or answers, in their order.

    Args:
        name: Name of the dataset.
        source: Where the benchmark lies.
        part: The part to read.
        limit: Keep so many queries, drawn at random; None keeps all.
        data: Seed of that draw.
        corpus: The ``corpus.parquet`` that is searched.
        output: The ``queries.parquet`` to write.

    Raises:
        UserError: for files that are missing or malformed, or when the corpus holds no relevant passage at all.
    """
    judged = list(open_testset(source, part).queries())
    queries = [query for query in judged if query.grades or query.answers]
    counts = {
        "queries without a relevant passage or answer": len(judged) - len(queries),
        "queries that can be scored": len(queries),
    }
    if limit is not None and limit < len(queries):
        random = np.random.default_rng([data.seed, zlib.crc32(name.encode())])
        queries = [queries[row] for row in sorted(random.permutation(len(queries))[:limit])]
    relevant = {passage for query in queries for passage in query.grades or ()}
    rows, repeated = _rows_of(relevant, corpus)
    if relevant and not rows:
        raise UserError(f"benchmark {name}: {corpus} holds none of the relevant passages; prepare it from one source.")
    table = _table(queries, rows)
    counts |= _missing(queries, rows) | {_REPEATED: repeated}
    counts["queries"] = len(table)
    _warn(name, counts)
    write_table(output, table, TEST_QUERIES, counts)
    write_digests([output])
    log.info("%s: %s", name, ", ".join(f"{key}: {number}" for key, number in counts.items() if number))


def _rows_of(passages: set[str], corpus: Path) -> tuple[dict[str, int], int]:
    """Row of each passage that the corpus holds, the first where it holds two of one identifier; how many these are."""
    if not passages:
        return {}, 0
    wanted = pl.LazyFrame({"passage_id": sorted(passages)})
    named = pl.scan_parquet(verified(corpus)).select("passage_id").with_row_index("row")
    found = wanted.join(named, on="passage_id").group_by("passage_id").agg(pl.col("row").min(), number=pl.len())
    found = found.collect()
    return dict(found.select("passage_id", "row").iter_rows()), int((found["number"] > 1).sum())


def _missing(queries: list[Topic], rows: dict[str, int]) -> dict[str, int]:
    """Counts of what was judged relevant and cannot be found."""
    lacking = [sum(passage not in rows for passage in query.grades or ()) for query in queries]
    lost = [bool(number) and number == len(query.grades) for number, query in zip(lacking, queries, strict=True)]
    return {_LACKING: sum(lacking), _LOST: sum(lost)}


def _warn(name: str, counts: dict[str, int]) -> None:
    if counts[_LACKING]:
        log.warning(
            "%s: the corpus lacks %d passages that are judged relevant, for %d queries all of them; they count as not "
            "found, as in trec_eval",
            *(name, counts[_LACKING], counts[_LOST]),
        )
    if repeated := counts[_REPEATED]:
        log.warning(
            "%s: the corpus holds the identifiers of %d relevant passages twice; the first counts", name, repeated
        )


def _table(queries: list[Topic], rows: dict[str, int]) -> pa.Table:
    """The queries; grades of passages that the corpus lacks stand behind those of the positives."""
    columns: dict[str, list] = {name: [] for name in TEST_QUERIES.names}
    for query in queries:
        graded = query.grades or {}
        held = [passage for passage in graded if passage in rows]
        grades = [graded[passage] for passage in held + [passage for passage in graded if passage not in rows]]
        positives = [rows[passage] for passage in held]
        values = (query.query_id, query.text, positives, [], None if query.grades is None else grades, query.answers)
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    return pa.table(columns, schema=TEST_QUERIES)
