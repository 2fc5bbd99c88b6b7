"""Training rows: queries that have negatives and nearly equal no evaluation query, nor one that choices are made on.

queries.parquet, negatives.parquet, the queries of every benchmark -> train.parquet, dev.parquet, duplicates.parquet

Only hashes and row numbers are held, and the texts of what is removed: each file of queries is read once to
be hashed and once more for those texts.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from tdro.artifacts.digests import write_digests
from tdro.artifacts.files import count_rows, read_table, read_texts, write_table
from tdro.artifacts.schemas import DEV_QUERIES, DEV_ROWS, DUPLICATES, NEGATIVES, QUERIES, SCORED_TRAIN, TRAIN
from tdro.config.data import Dedup
from tdro.data.nearduplicates import closest, repeats
from tdro.errors import UserError
from tdro.progress import Progress
from tdro.readers.queryfiles import read_queries
from tdro.text.fingerprints import fingerprints

log = logging.getLogger(__name__)

#: The source that `duplicates.parquet` names for a repeat within the task; no dataset can be called so.
WITHIN = "(itself)"

_ROWS = pa.schema([QUERIES.field("positives"), QUERIES.field("negatives")])
_MINED = pa.schema([NEGATIVES.field("query"), NEGATIVES.field("negatives")])
_SCORES = pl.Schema(dict.fromkeys(("positive_scores", "negative_scores"), pl.List(pl.Float32)))

Sources = Mapping[str, Callable[[], Iterable[str]]]


class Dev(NamedTuple):
    """What is set apart for choices (:mod:`tdro.data.devrows`).

    Attributes:
        rows: The ``dev.parquet`` to write: the rows of the task's own dev queries, ordered by query. None writes none.
        own: ``dev/queries.parquet`` of the task; None where it has no dev queries.
        queries: The same of every task that has some, by its name.
    """

    rows: Path | None = None
    own: Path | None = None
    queries: Mapping[str, Path] = {}

    def sources(self) -> Sources:
        """How to read them, by the name that they have in ``duplicates``; no dataset is called so."""
        return {f"{task} (dev)": partial(read_texts, path, "query") for task, path in self.queries.items()}


#: Nothing is set apart.
NO_DEV = Dev()


def dedup(
    queries: Path,
    negatives: Path | None,
    evaluation: Mapping[str, Path],
    train: Path,
    duplicates: Path,
    settings: Dedup,
    threads: int = 1,
    scores: bool = False,
    dev: Dev = NO_DEV,
) -> None:
    """Write a task's training rows and dev rows, and the queries removed because an evaluation query is too near.

    Two queries are near when their 64-bit SimHashes differ in at most ``settings.distance`` bits
    (released code: 2). Of several near ones ``duplicates`` names the nearest, and of equally near ones
    the first of the first source: the benchmarks, the files of ``settings.queries``, the dev queries of all tasks.
    A dev row goes, too, when an evaluation query is near; it is counted, but not listed among the training queries
    that were removed.

    With ``settings.within`` a query that is left also goes when it is near an earlier one that stays,
    greedily in the order of the rows; one that was removed before takes none with it.

    Args:
        queries: The task's ``queries.parquet``.
        negatives: The task's ``negatives.parquet``; None takes those that the source provides with
            the queries. A query that mining left out has no training row.
        evaluation: ``queries.parquet`` of each benchmark, by name.
        train: The ``train.parquet`` to write, ordered by query.
        duplicates: The ``duplicates.parquet`` to write, ordered by query.
        settings: The validated section of the configuration.
        threads: Processes that hash, where there is much to hash.
        scores: Also write the scores that the positives and negatives have in ``negatives``, null without such a file.
        dev: What is set apart of this task and of the others.

    Raises:
        UserError: when no row is left, ``negatives`` was made from other queries, or a file is not as expected.
    """
    asked = pl.from_arrow(read_table(queries, _ROWS)).with_row_index("row").cast({"row": pl.Int32})
    rows = _with_negatives(asked, queries, negatives, scores)
    hashes = fingerprints(_hashing(queries, count_rows(queries)).through(read_texts(queries, "query")), threads)[
        rows["row"].to_numpy()
    ]
    apart = rows["row"].is_in(_rows_apart(dev.own).implode())
    of_evaluation, of_dev = _sources(evaluation, settings.queries), dev.sources()
    hashed = _hashed(of_evaluation, threads)
    beside = _evaluation_matches(*_those(apart, rows, hashes), of_evaluation, hashed, settings.distance)
    dev_rows = rows.filter(apart).join(beside, on="row", how="anti", maintain_order="left")
    hashed |= _hashed(of_dev, threads)
    numbers, hashes = _those(~apart, rows, hashes)
    matches = _evaluation_matches(numbers, hashes, {**of_evaluation, **of_dev}, hashed, settings.distance)
    if settings.within:
        left = ~numbers.is_in(matches["row"].implode())
        inner = _inner_matches(numbers.filter(left), hashes[left.to_numpy()], queries, settings.distance)
        matches = pl.concat([matches, inner]).sort("row")
    kept = rows.filter(~apart).join(matches, on="row", how="anti", maintain_order="left")
    counts = _counts(len(asked), len(rows), matches, kept, of_dev)
    if dev.own:
        counts |= {"dev rows near an evaluation query": len(beside), "dev rows": len(dev_rows)}
    for name, number in counts.items():
        log.info("%s: %d", name, number)
    if kept.is_empty():
        raise UserError(
            f"{queries}: none of {len(asked)} queries is left to train on, {counts['dropped by mining']} have no "
            f"mined negatives and {len(matches)} nearly equal an evaluation query; remove the task or that benchmark."
        )
    texts = pl.Series("text", _pick(read_texts(queries, "query"), matches["row"].to_numpy()), dtype=pl.String)
    _write_rows(train, kept, SCORED_TRAIN if scores else TRAIN, counts)
    if dev.rows:
        _write_rows(dev.rows, dev_rows, DEV_ROWS)
    write_table(duplicates, matches.with_columns(texts).rename({"row": "query"}).to_arrow(), DUPLICATES)


def _write_rows(path: Path, rows: pl.DataFrame, schema: pa.Schema, counts: Mapping[str, int] | None = None) -> None:
    write_table(path, rows.rename({"row": "query"}).to_arrow(), schema, counts)
    write_digests([path])


def _rows_apart(own: Path | None) -> pl.Series:
    """Rows of the task's queries that are dev queries."""
    found = read_table(own, pa.schema([DEV_QUERIES.field("row")]))["row"].to_pylist() if own else []
    return pl.Series("row", found, dtype=pl.Int32)


def _those(chosen: pl.Series, rows: pl.DataFrame, hashes: np.ndarray) -> tuple[pl.Series, np.ndarray]:
    """Numbers and hashes of the chosen rows."""
    return rows["row"].filter(chosen), hashes[chosen.to_numpy()]


def _with_negatives(asked: pl.DataFrame, queries: Path, negatives: Path | None, scores: bool) -> pl.DataFrame:
    """Rows ``row, positives, negatives``, and the scores of both, of the queries that have a row of negatives."""
    if negatives is None:
        unknown = [pl.lit(None, kind).alias(name) for name, kind in _SCORES.items()] if scores else []
        return asked.select("row", "positives", "negatives", *unknown)
    mined = pl.from_arrow(read_table(negatives, NEGATIVES if scores else _MINED))
    mined = mined.rename({"query": "row"} | ({"scores": "negative_scores"} if scores else {}))
    strays = mined.join(asked, on="row", how="anti")
    if len(strays):
        raise UserError(
            f"{negatives} has negatives for query {strays['row'][0]}, but {queries} has {len(asked)} rows; "
            "delete it and mine again."
        )
    return asked.select("row", "positives").join(mined, on="row", how="inner", maintain_order="left")


def _sources(evaluation: Mapping[str, Path], files: Iterable[str]) -> Sources:
    """How to read each source's queries, by the name it has in ``duplicates``."""
    benchmarks = {name: partial(read_texts, path, "query") for name, path in evaluation.items()}
    twice = [Path(file).name for file in files if Path(file).name in benchmarks]
    if twice:
        raise UserError(
            f"`dedup.queries` holds a file {twice[0]!r}, and a benchmark is called so, too; rename the file."
        )
    return benchmarks | {Path(file).name: partial(read_queries, file) for file in files}


def _hashed(sources: Sources, threads: int) -> dict[str, np.ndarray]:
    """Fingerprints of each source's queries."""
    return {name: fingerprints(_hashing(name).through(read()), threads) for name, read in sources.items()}


def _evaluation_matches(
    rows: pl.Series, hashes: np.ndarray, sources: Sources, hashed: Mapping[str, np.ndarray], distance: int
) -> pl.DataFrame:
    """Columns ``row, source, matched, distance`` of the rows near a query of a source, by row."""
    pairs = closest(hashes, np.concatenate([np.empty(0, np.uint64), *(hashed[name] for name in sources)]), distance)
    frames, start = [], 0
    for name in sources:
        values = hashed[name]
        own = pairs.filter(pl.col("right").is_between(start, start + len(values), closed="left"))
        places = own["right"].to_numpy().astype(np.int64) - start
        texts = _pick(sources[name](), places) if len(own) else []
        frames.append(_matches(rows, own, name, texts))
        start += len(values)
    return pl.concat([pl.DataFrame(schema=_MATCHES), *frames]).sort("row")


def _inner_matches(rows: pl.Series, hashes: np.ndarray, queries: Path, distance: int) -> pl.DataFrame:
    """The same columns of the rows near an earlier one of them that is kept."""
    pairs = repeats(hashes, distance)
    places = rows.to_numpy()[pairs["right"].to_numpy()]
    return _matches(rows, pairs, WITHIN, _pick(read_texts(queries, "query"), places))


_MATCHES = pl.Schema({"row": pl.Int32, "source": pl.String, "matched": pl.String, "distance": pl.Int8})


def _matches(rows: pl.Series, pairs: pl.DataFrame, source: str, matched: list[str]) -> pl.DataFrame:
    columns = {
        "row": rows.gather(pairs["left"]),
        "source": [source] * len(pairs),
        "matched": matched,
        "distance": pairs["distance"],
    }
    return pl.DataFrame(columns, schema=_MATCHES)


def _pick(texts: Iterable[str], places: np.ndarray) -> list[str]:
    """The texts at ``places``, which may repeat and be in any order."""
    wanted = set(places.tolist())
    found = {place: text for place, text in enumerate(texts) if place in wanted} if wanted else {}
    return [found[place] for place in places.tolist()]


def _counts(
    asked: int, with_negatives: int, matches: pl.DataFrame, kept: pl.DataFrame, of_dev: Sources
) -> dict[str, int]:
    within = int((matches["source"] == WITHIN).sum())
    dev = int(matches["source"].is_in(list(of_dev)).sum())
    return {
        "queries": asked,
        "dropped by mining": asked - with_negatives,
        "near-duplicates of evaluation queries": len(matches) - within - dev,
        **({"near-duplicates of dev queries": dev} if of_dev else {}),
        "near-duplicates within the task": within,
        "training rows": len(kept),
        "training rows without a negative": int((kept["negatives"].list.len() == 0).sum()),
    }


def _hashing(name: str | Path, total: int | None = None) -> Progress:
    return Progress(f"{name}: hashed", "queries", total)
