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
from tdro.mining.queries import read_asked
from tdro.progress import Progress
from tdro.retrieval.indices import CUT, EXACT, BlockIndex, merge
from tdro.retrieval.shards import Embeddings

#: Bytes of the corpus that are in memory as float32, besides the copy in the index.
BLOCK_BYTES = 256 * 2**20
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
    finder = _Finder(passages, settings)
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


class _Finder:
    """Search over all blocks of a corpus."""

    def __init__(self, passages: Embeddings, settings: Search) -> None:
        self.passages = passages
        self.rows = max(1, BLOCK_BYTES // (4 * passages.dimension))
        self.index = BlockIndex(settings, passages.dimension, self._sample, len(passages))
        self._held: int | None = None

    def _sample(self, number: int) -> np.ndarray:
        rows = np.random.default_rng(0).permutation(len(self.passages))[:number]
        return self.passages.take(np.sort(rows))

    def best(self, vectors: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and rows of the best, falling, shape (queries, at most depth); row -1 where there are fewer."""
        scores = np.empty((len(vectors), 0), dtype=np.float32)
        rows = np.empty((len(vectors), 0), dtype=np.int64)
        for start in range(0, len(self.passages), self.rows):
            self._hold(start)
            new_scores, new_rows = self.index.search(vectors, depth)
            new_rows[new_rows >= 0] += start
            rows, scores = merge((rows, scores), (new_rows, new_scores), depth)
        return scores, rows

    def _hold(self, start: int) -> None:
        if self._held != start:  # a corpus of one block is indexed once
            self.index.hold(self.passages.slice(start, min(start + self.rows, len(self.passages))))
            self._held = start


def _candidates(block: pa.Table, start: int, vectors: np.ndarray, finder: _Finder, depth: int) -> pa.Table:
    """Candidates of a super-block of queries, as a table of the schema ``CANDIDATES``."""
    positives = Lists.from_arrow(block["positives"])
    lengths, owner = positives.lengths, positives.owners()
    scores, rows = finder.best(vectors, depth + int(lengths.max()))
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
