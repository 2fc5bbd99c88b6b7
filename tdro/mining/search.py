"""The passages nearest to each query, by the inner product of their embeddings.

    embeddings/, queries.parquet, corpus.parquet -> candidates.parquet

Memory depends neither on the corpus nor on the number of queries: the corpus is taken block by block, and the best of
each block are merged; queries are taken in super-blocks. What is found for each of these lies among the checkpoints
until all are there, so that a killed job loses one of them at most.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tdro.artifacts.beside import take_away
from tdro.artifacts.files import count_rows, digest, read_counts, read_table, stamps, table_writer, write_table
from tdro.artifacts.lists import Lists
from tdro.artifacts.schemas import CANDIDATES
from tdro.artifacts.versions import of_stage
from tdro.config.mining import Search
from tdro.errors import UserError
from tdro.mining.candidates import CUT, EXACT
from tdro.mining.queries import read_positives
from tdro.progress import Progress
from tdro.retrieval.nearest import Finder
from tdro.retrieval.shards import Embeddings, begin

log = logging.getLogger(__name__)

#: Queries searched together.
QUERIES_AT_ONCE = 16_384


def search(embeddings: Path, corpus: Path, queries: Path, output: Path, checkpoints: Path, settings: Search) -> None:
    """Write the candidates of every query: ``depth`` of them, and room for as many as it has positives.

    With ``Flat`` they are exact, and with any other index where the corpus is smaller than that asks for, which
    the counts say. Equal scores stand in the order of rows; which of those that tie for the last place is kept,
    an index that is not ``Flat`` decides.

    Args:
        embeddings: The folder of ``tdro encode``.
        corpus: ``corpus.parquet``.
        queries: ``queries.parquet``.
        output: File to write.
        checkpoints: Folder for the candidates of each super-block of queries until all are there.
        settings: The validated section ``mining.search``.

    Raises:
        UserError: when embeddings and queries do not belong together, or faiss cannot make the index.
    """
    asked = read_positives(queries, corpus)
    passages, wanted = Embeddings(embeddings / "corpus"), Embeddings(embeddings / "queries")
    _check(embeddings, asked, passages, wanted, corpus)
    finder = Finder(passages, settings)
    begin(checkpoints, _identity(embeddings, queries, settings))
    files = {start: checkpoints / f"{start}.parquet" for start in range(0, len(asked), QUERIES_AT_ONCE)}
    missing = {start: asked.slice(start, QUERIES_AT_ONCE) for start, file in files.items() if not file.is_file()}
    if len(missing) < len(files):
        log.info("%d of %d blocks of queries are there", len(files) - len(missing), len(files))
    progress = Progress("searched", "queries", sum(map(len, missing.values())))
    for start, block in missing.items():
        table = _candidates(block, start, wanted.slice(start, start + len(block)), finder, settings.depth)
        write_table(files[start], table, CANDIDATES, {EXACT: len(block)} if finder.index.exact else {})
        progress.add(len(block))
    counts = {
        "queries": len(asked), "candidates": 0,
        "tokens": passages.manifest["tokens"] + wanted.manifest["tokens"],
        CUT["corpus"]: passages.manifest.get("cut", 0), CUT["queries"]: wanted.manifest.get("cut", 0),
    }  # fmt: skip
    _publish(list(files.values()), output, counts)
    take_away(checkpoints)


def _identity(embeddings: Path, queries: Path, settings: Search) -> dict[str, Any]:
    """What the candidates of some queries depend on; on which device they are searched is not among it."""
    return {
        "settings": settings.watched(),
        "embeddings": stamps(sorted(file for file in embeddings.glob("*/*") if file.is_file())),
        "queries": digest(queries),
        "at once": QUERIES_AT_ONCE,
        **of_stage(__name__)._asdict(),
    }


def _publish(files: list[Path], output: Path, counts: dict[str, int]) -> None:
    """Write the candidates of all super-blocks as one file, and count them."""
    with table_writer(output, CANDIDATES, counts) as together:
        for file in files:
            table = read_table(file, CANDIDATES)
            counts["candidates"] += len(table["candidates"].combine_chunks().flatten())
            if exact := read_counts(file).get(EXACT):
                counts[EXACT] = counts.get(EXACT, 0) + exact
            together.append(table)


def _check(folder: Path, asked: pa.Table, passages: Embeddings, wanted: Embeddings, corpus: Path) -> None:
    if len(wanted) != len(asked) or len(passages) != count_rows(corpus):
        raise UserError(
            f"{folder} holds {len(passages)} passages and {len(wanted)} queries, the data {count_rows(corpus)} and "
            f"{len(asked)}; encode again."
        )


def _candidates(block: pa.Table, start: int, vectors: np.ndarray, finder: Finder, depth: int) -> pa.Table:
    """Candidates of a super-block of queries, as a table of the schema ``CANDIDATES``."""
    positives = Lists.from_arrow(block["positives"])
    lengths, owner = positives.lengths, positives.owners()
    rows, scores = finder.best(vectors, depth + int(lengths.max()))
    # A query's list depends on its own positives, not on those of the others in its block.
    kept = (rows >= 0) & (np.arange(rows.shape[1]) < (depth + lengths)[:, None])
    own = np.concatenate(
        [
            np.einsum("pd,pd->p", vectors[owner[part]], finder.passages.take(positives.values[part]))
            for part in (slice(i, i + QUERIES_AT_ONCE) for i in range(0, len(owner), QUERIES_AT_ONCE))
        ]
    )
    columns = {
        "query": np.arange(start, start + len(vectors), dtype=np.int32),
        "candidates": Lists.of(rows[kept].astype(np.int32), kept.sum(axis=1)).arrow(),
        "scores": Lists.of(scores[kept], kept.sum(axis=1)).arrow(),
        "positive_scores": Lists.of(own.astype(np.float32), lengths).arrow(),
    }
    return pa.table(columns, schema=CANDIDATES)
