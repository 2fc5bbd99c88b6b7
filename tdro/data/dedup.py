"""Training rows: queries that have negatives and nearly equal no evaluation query.

queries.parquet, negatives.parquet, the queries of every benchmark -> train.parquet, duplicates.parquet

Only hashes and row numbers are held, and the texts of what is removed: each file of queries is read once to
be hashed and once more for those texts.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from tdro.artifacts.digests import write_digests
from tdro.artifacts.files import read_table, read_texts, write_table
from tdro.artifacts.schemas import DUPLICATES, NEGATIVES, QUERIES, SCORED_TRAIN, TRAIN
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


def dedup(
    queries: Path,
    negatives: Path | None,
    evaluation: Mapping[str, Path],
    train: Path,
    duplicates: Path,
    settings: Dedup,
    threads: int = 1,
    scores: bool = False,
) -> None:
    """Write a task's training rows, and the queries removed because an evaluation query is too near.

    Two queries are near when their 64-bit SimHashes differ in at most ``settings.distance`` bits
    (released code: 2). Of several near ones ``duplicates`` names the nearest, and of equally near ones
    the first of the first source: the benchmarks, then the files of ``settings.queries``.

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

    Raises:
        UserError: when no row is left, ``negatives`` was made from other queries, or a file is not as expected.
    """
    asked = pl.from_arrow(read_table(queries, _ROWS)).with_row_index("row").cast({"row": pl.Int32})
    rows = _with_negatives(asked, queries, negatives, scores)
    hashes = fingerprints(_hashing(queries).through(read_texts(queries, "query")), threads)[rows["row"].to_numpy()]
    sources = _sources(evaluation, settings.queries)
    matches = _evaluation_matches(rows["row"], hashes, sources, settings.distance, threads)
    if settings.within:
        left = ~rows["row"].is_in(matches["row"].implode())
        inner = _inner_matches(rows["row"].filter(left), hashes[left.to_numpy()], queries, settings.distance)
        matches = pl.concat([matches, inner]).sort("row")
    kept = rows.join(matches, on="row", how="anti", maintain_order="left")
    counts = _counts(len(asked), len(rows), matches, kept)
    for name, number in counts.items():
        log.info("%s: %d", name, number)
    if kept.is_empty():
        raise UserError(
            f"{queries}: none of {len(asked)} queries is left to train on, {counts['dropped by mining']} have no "
            f"mined negatives and {len(matches)} nearly equal an evaluation query; remove the task or that benchmark."
        )
    texts = pl.Series("text", _pick(read_texts(queries, "query"), matches["row"].to_numpy()), dtype=pl.String)
    schema = SCORED_TRAIN if scores else TRAIN
    write_table(train, kept.rename({"row": "query"}).to_arrow(), schema, counts)
    write_digests([train])
    write_table(duplicates, matches.with_columns(texts).rename({"row": "query"}).to_arrow(), DUPLICATES)


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


def _evaluation_matches(
    rows: pl.Series, hashes: np.ndarray, sources: Sources, distance: int, threads: int
) -> pl.DataFrame:
    """Columns ``row, source, matched, distance`` of the rows near a query of a source, by row."""
    hashed = {name: fingerprints(_hashing(name).through(read()), threads) for name, read in sources.items()}
    pairs = closest(hashes, np.concatenate([np.empty(0, np.uint64), *hashed.values()]), distance)
    frames, start = [], 0
    for name, values in hashed.items():
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


def _counts(asked: int, with_negatives: int, matches: pl.DataFrame, kept: pl.DataFrame) -> dict[str, int]:
    within = int((matches["source"] == WITHIN).sum())
    return {
        "queries": asked,
        "dropped by mining": asked - with_negatives,
        "near-duplicates of evaluation queries": len(matches) - within,
        "near-duplicates within the task": within,
        "training rows": len(kept),
        "training rows without a negative": int((kept["negatives"].list.len() == 0).sum()),
    }


def _hashing(name: str | Path) -> Progress:
    return Progress(f"{name}: hashed", "queries")
