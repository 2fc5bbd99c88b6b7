"""What a dev query is ranked among: its positive, own hard negatives, and a pool that the queries of a dataset share.

    dev.parquet of a task, or a benchmark's queries.parquet, and the corpus -> results/dev/{dataset}.parquet

The candidates are decided once, before any model is looked at: all models are measured on the same ones, and measuring
one takes embedding a few hundred passages instead of a corpus. Hard negatives of a task are the mined ones. A benchmark
has none, so BM25 finds them, which no model here was trained with.
"""

import logging
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tdro.artifacts.files import read_table, read_texts, write_table
from tdro.artifacts.schemas import DEV_POOL, DEV_ROWS
from tdro.data.corpora import own_passages, passages
from tdro.errors import UserError
from tdro.evaluation.topics import read_queries
from tdro.retrieval.bm25 import rank

log = logging.getLogger(__name__)

#: Own hard negatives of a query, and passages of the pool that it is ranked among, at most.
HARD, POOL = 7, 255


class Asked(NamedTuple):
    """A dev query.

    Attributes:
        row: Of the dataset's queries.
        positive: The passage that is to be found.
        hard: Its own hard negatives, the hardest first.
        known: Passages that are no negatives of it: all its positives, and the passage that it is itself.
    """

    row: int
    positive: int
    hard: list[int]
    known: set[int]


def dev_pool(name: str, corpus: Path, queries: Path, rows: Path | None, output: Path, seed: int) -> None:
    """Write the candidates of each dev query of a dataset.

    Args:
        name: The dataset's name; with ``seed`` it decides which passages the pool has.
        corpus: Its ``corpus.parquet``.
        queries: Its ``queries.parquet``.
        rows: ``dev.parquet`` of a task; None for a benchmark, all of whose queries are asked.
        output: The file to write, schema ``DEV_POOL``.
        seed: Decides the pool.

    Raises:
        UserError: when a file is missing or wrong, no query is left, or relevance is decided by answer strings.
    """
    asked = of_task(rows) if rows else of_benchmark(name, queries, corpus)
    if not asked:
        raise UserError(f"{name}: no dev query is left in {rows or queries}; raise `dev` of the task, or leave it out.")
    number = passages(corpus)
    random = np.random.default_rng([seed, zlib.crc32(name.encode()), zlib.crc32(b"dev pool")])
    shared = pool(asked, number, random)
    found = [_candidates(query, shared) for query in asked]
    write_table(output, {"query": [query.row for query in asked], "candidates": found}, DEV_POOL)
    log.info("%s: %d queries, %.1f candidates each", name, len(asked), np.mean([len(one) for one in found]))


def of_task(rows: Path) -> list[Asked]:
    """The dev queries of a task. Of several positives the first is to be found."""
    return [
        Asked(row["query"], row["positives"][0], row["negatives"][:HARD], set(row["positives"]))
        for row in read_table(rows, DEV_ROWS).to_pylist()
    ]


def of_benchmark(name: str, queries: Path, corpus: Path) -> list[Asked]:
    """The queries of a benchmark with a relevant passage in the corpus. The one of the highest grade is to be found.

    Raises:
        UserError: when relevance is decided by answer strings.
    """
    topics = read_queries(queries, corpus)
    if topics.answers is not None:
        raise UserError(f"{name} has answers and no relevant passages, so it has no dev loss; take it out of `dev`.")
    row_of = {query_id: row for row, query_id in enumerate(read_texts(queries, "query_id"))}
    themselves = own_passages(corpus, topics.ids, topics.texts)
    known = [set(rows) for rows in topics.positives]
    for place, row in themselves.items():
        known[place].add(row)
    nearest, _ = rank(corpus, topics.texts, HARD + max(map(len, known)))
    return [
        Asked(row_of[query_id], _best(positives, grades), _first(near.tolist(), right | {-1}, HARD), right)
        for query_id, positives, grades, near, right in zip(
            topics.ids, topics.positives, topics.grades, nearest, known, strict=True
        )
        if positives
    ]


def pool(asked: list[Asked], number: int, random: np.random.Generator) -> list[int]:
    """Passages for all queries in random order: first positives of other queries, then others of the corpus.

    Args:
        asked: The queries.
        number: Passages of the corpus.
        random: Source of the order.

    Returns:
        Distinct rows, as many as leave each query ``POOL`` besides its own, where the corpus has them.
    """
    most = POOL + max(len({*query.hard} | query.known) for query in asked)
    positives = random.permutation(np.unique([query.positive for query in asked]))
    others = random.choice(number, min(number, most), replace=False)
    return list(dict.fromkeys([*positives.tolist(), *others.tolist()]))


def _candidates(query: Asked, shared: list[int]) -> list[int]:
    """Rows of the corpus: the positive, the query's own hard negatives, its part of the pool."""
    return [query.positive, *query.hard, *_first(shared, {*query.hard} | query.known, POOL)]


def _first(rows: Iterable[int], without: set[int], number: int) -> list[int]:
    """The first so many rows that are none of ``without``."""
    return [row for row in rows if row not in without][:number]


def _best(positives: list[int], grades: list[int]) -> int:
    """The positive of the highest grade; of several the first."""
    return max(zip(positives, grades, strict=False), key=lambda pair: pair[1])[0]
