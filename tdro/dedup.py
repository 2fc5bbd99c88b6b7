"""Training rows: queries that have negatives and nearly equal no evaluation query.

queries.parquet, negatives.parquet, the queries of every benchmark -> train.parquet, duplicates.parquet
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from tdro.artifacts import DUPLICATES, NEGATIVES, QUERIES, TRAIN, read_table, write_table
from tdro.config import Dedup
from tdro.errors import UserError
from tdro.nearduplicates import closest, fingerprints

log = logging.getLogger(__name__)


def dedup(
    queries: Path,
    negatives: Path | None,
    evaluation: Mapping[str, Path],
    train: Path,
    duplicates: Path,
    settings: Dedup,
) -> None:
    """Write a task's training rows, and the queries removed because an evaluation query is too near.

    Two queries are near when their 64-bit SimHashes differ in at most ``settings.distance`` bits
    (released code: 2). Of several near ones ``duplicates`` names the nearest,
    and of equally near ones the first of the first benchmark.

    Args:
        queries: The task's ``queries.parquet``.
        negatives: The task's ``negatives.parquet``; None takes those that the source provides with
            the queries. A query that mining left out has no training row.
        evaluation: ``queries.parquet`` of each benchmark, by name.
        train: The ``train.parquet`` to write, ordered by query.
        duplicates: The ``duplicates.parquet`` to write, ordered by query.
        settings: The validated section of the configuration.

    Raises:
        UserError: when no row is left, or ``negatives`` was made from other queries.
    """
    asked = pl.from_arrow(read_table(queries, QUERIES)).with_row_index("row").cast({"row": pl.Int32})
    rows = _with_negatives(asked, queries, negatives)
    matches = _matches(rows, _evaluation_queries(evaluation), settings.distance)
    kept = rows.join(matches, on="row", how="anti", maintain_order="left")
    counts = {
        "queries": len(asked),
        "dropped by mining": len(asked) - len(rows),
        "near-duplicates of evaluation queries": len(matches),
        "training rows": len(kept),
        "training rows without a negative": int((kept["negatives"].list.len() == 0).sum()),
    }
    for name, number in counts.items():
        log.info("%s: %d", name, number)
    if kept.is_empty():
        raise UserError(
            f"{queries}: none of {len(asked)} queries is left to train on, {counts['dropped by mining']} have no "
            f"mined negatives and {len(matches)} nearly equal an evaluation query; remove the task or that benchmark."
        )
    write_table(train, kept.rename({"row": "query", "query": "text"}).to_arrow(), TRAIN, counts)
    write_table(duplicates, matches.rename({"row": "query"}).to_arrow(), DUPLICATES)


def _with_negatives(asked: pl.DataFrame, queries: Path, negatives: Path | None) -> pl.DataFrame:
    """Rows ``row, query, positives, negatives`` of the queries that have a row of negatives."""
    if negatives is None:
        return asked.select("row", "query", "positives", "negatives")
    mined = pl.from_arrow(read_table(negatives, NEGATIVES)).select(pl.col("query").alias("row"), "negatives")
    strays = mined.join(asked, on="row", how="anti")
    if len(strays):
        raise UserError(
            f"{negatives} has negatives for query {strays['row'][0]}, but {queries} has {len(asked)} rows; "
            "delete it and mine again."
        )
    return asked.select("row", "query", "positives").join(mined, on="row", how="inner", maintain_order="left")


def _evaluation_queries(evaluation: Mapping[str, Path]) -> pl.DataFrame:
    """Rows ``benchmark, matched`` of every benchmark's queries, in the benchmarks' order."""
    frames = [pl.DataFrame(schema={"benchmark": pl.String, "matched": pl.String})]
    for benchmark, path in evaluation.items():
        texts = pl.from_arrow(read_table(path, QUERIES))["query"]
        frames.append(pl.DataFrame({"matched": texts}).select(pl.lit(benchmark).alias("benchmark"), "matched"))
    return pl.concat(frames)


def _matches(rows: pl.DataFrame, evaluation: pl.DataFrame, distance: int) -> pl.DataFrame:
    """Columns ``row, text, benchmark, matched, distance`` of the rows near an evaluation query."""
    pairs = closest(fingerprints(rows["query"]), fingerprints(evaluation["matched"]), distance)
    near = rows[pairs["left"].to_numpy().astype(np.int64)].select("row", pl.col("query").alias("text"))
    matched = evaluation[pairs["right"].to_numpy().astype(np.int64)]
    return pl.concat([near, matched, pairs.select("distance")], how="horizontal")
