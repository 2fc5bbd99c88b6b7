"""The passages nearest to each query, by the inner product of their embeddings.

    embeddings/, queries.parquet, corpus.parquet -> candidates.parquet

Memory depends neither on the corpus nor on the number of queries: the corpus is taken block by block,
and the best of each block are merged; queries are taken in super-blocks, each of which is a row group.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tdro.artifacts.files import count_rows, table_writer
from tdro.artifacts.lists import Lists
from tdro.artifacts.schemas import CANDIDATES
from tdro.config.mining import Search
from tdro.errors import UserError
from tdro.mining.candidates import CUT, EXACT
from tdro.mining.queries import read_asked
from tdro.progress import Progress
from tdro.retrieval.nearest import Finder
from tdro.retrieval.shards import Embeddings

#: Queries searched together.
QUERIES_AT_ONCE = 16_384


def search(embeddings: Path, corpus: Path, queries: Path, output: Path, settings: Search) -> None:
    """Write the candidates of every query: ``depth`` of them, and room for as many as it has positives.

    With ``Flat`` they are exact, and with any other index where the corpus is smaller than that asks for, which
    the counts say. Equal scores stand in the order of rows; which of those that tie for the last place is kept,
    faiss decides.

    Raises:
        UserError: when embeddings and queries do not belong together, or faiss cannot make the index.
    """
    asked = read_asked(queries, corpus)
    passages, wanted = Embeddings(embeddings / "corpus"), Embeddings(embeddings / "queries")
    _check(embeddings, asked, passages, wanted, corpus)
    finder = Finder(passages, settings)
    counts = {
        "queries": len(asked), "candidates": 0,
        "tokens": passages.manifest["tokens"] + wanted.manifest["tokens"],
        CUT["corpus"]: passages.manifest.get("cut", 0), CUT["queries"]: wanted.manifest.get("cut", 0),
    }  # fmt: skip
    progress = Progress("searched", "queries", len(asked))
    with table_writer(output, CANDIDATES, counts) as file:
        for start in range(0, len(asked), QUERIES_AT_ONCE):
            block = asked.slice(start, QUERIES_AT_ONCE)
            table = _candidates(block, start, wanted.slice(start, start + len(block)), finder, settings.depth)
            counts["candidates"] += len(table["candidates"].combine_chunks().flatten())
            file.append(table)
            if finder.index.exact:
                counts[EXACT] = start + len(block)
            progress.add(len(block))


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
