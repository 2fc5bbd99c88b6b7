"""Hard negatives: encode a task's corpus and queries with a miner, search exactly, filter and sample.

    corpus.parquet, queries.parquet -> negatives.parquet

``negatives.parquet`` has the schema :data:`tdro.artifacts.NEGATIVES`: a row a query, negatives by
falling score, then those that filled a gap, whose score is null. Its counts tell how many candidates
each filter dropped.
"""

import logging
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from tdro.artifacts import CORPUS, NEGATIVES, QUERIES, read_table, write_table
from tdro.config import Mining
from tdro.errors import UserError
from tdro.selection import Passages, Query, Ranking, Selection, select, text_keys
from tdro.texts import passage_texts

log = logging.getLogger(__name__)

#: Texts encoded, and queries searched, at a time: a line of progress each, and a bound on memory.
BLOCK = 8192


def mine(corpus: Path, queries: Path, output: Path, mining: Mining, fetched: Path | None = None) -> None:
    """Write the hard negatives of every query of a task.

    The miner's embeddings have unit length, so scores are cosines. Their search is exact. Which
    candidates are kept, and what a rank is, says :func:`tdro.selection.select`. With
    ``too_few: drop`` a query left with fewer than ``samples`` has no row in the output; otherwise it
    may have fewer, or none, where the corpus is too small to give more.

    Args:
        corpus: The task's ``corpus.parquet``.
        queries: The task's ``queries.parquet``.
        output: The ``negatives.parquet`` to write.
        mining: The validated section of the configuration.
        fetched: Manifest of the miner, fetched ahead; null fetches on demand.

    Raises:
        UserError: when a file is empty, a query has no positive or one that the corpus lacks, or
            ``too_few: drop`` leaves no query.
    """
    asked = read_table(queries, QUERIES)
    texts = passage_texts(read_table(corpus, CORPUS))
    _check(asked, queries, len(texts), corpus)
    miner = Miner(mining, fetched)
    passages = Passages(texts)
    index = miner.index(texts)
    search = _on_gpus(index)
    counts: Counter[str] = Counter({"queries": len(asked)})
    blocks = []
    for start in range(0, len(asked), BLOCK):
        block = asked.slice(start, BLOCK)
        embeddings = miner.encode(block["query"].to_pylist(), mining.query_prompt)
        rankings = _search(search, embeddings, min(mining.ranks[1], len(texts)))
        wanted = _queries(block, start, embeddings, index)
        chosen = [select(query, ranking, passages, mining) for query, ranking in zip(wanted, rankings, strict=True)]
        blocks.append(_table(wanted, rankings, chosen, mining, counts))
        log.info("mined %d of %d queries", min(start + BLOCK, len(asked)), len(asked))
    _report(counts)
    if counts["queries dropped"] == len(asked):
        raise UserError(
            f"no query of {queries} keeps {mining.samples} hard negatives; "
            "lower mining.samples, widen mining.ranks or set mining.too_few to fill_random."
        )
    write_table(output, pa.concat_tables(blocks), NEGATIVES, counts)


class Miner:
    """The model that ranks passages."""

    def __init__(self, mining: Mining, fetched: Path | None = None) -> None:
        from sentence_transformers import SentenceTransformer

        from tdro.models import resolve

        self.mining = mining
        folder = resolve(mining.model, mining.sha256, fetched=fetched)
        try:
            # Stated, because a checkpoint in half precision would otherwise run in it, even on a CPU.
            self.model = SentenceTransformer(folder, model_kwargs={"dtype": "float32"})
        except (OSError, ValueError, ImportError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"mining.model {mining.model} cannot be loaded ({reason}); correct the name.") from None
        limit = self.model.max_seq_length
        self.model.max_seq_length = mining.max_length if limit is None else min(limit, mining.max_length)

    def encode(self, texts: list[str], prompt: str = "") -> np.ndarray:
        """Embeddings of unit length, float32 of shape (len(texts), dimension)."""
        from tdro.precision import autocast

        with autocast("bf16", self.model.device):
            embeddings = self.model.encode(
                texts, prompt=prompt, batch_size=self.mining.batch_size, show_progress_bar=False
            )
        # Normalised outside of autocast, where a norm would have three digits.
        embeddings = np.array(embeddings, dtype=np.float32, order="C")
        if not np.isfinite(embeddings).all():
            raise UserError(
                f"mining.model {self.mining.model} gives embeddings that are not finite; use another model."
            )
        norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return embeddings / np.maximum(norms, np.finfo(np.float32).tiny)

    def index(self, texts: list[str]):
        """A flat inner-product index of ``texts``, the only copy of their embeddings."""
        import faiss

        started = time.monotonic()
        index = None
        for start in range(0, len(texts), BLOCK):
            embeddings = self.encode(texts[start : start + BLOCK])
            index = index or faiss.IndexFlatIP(embeddings.shape[1])
            index.add(embeddings)
            log.info("encoded %d of %d passages in %.0f s", index.ntotal, len(texts), time.monotonic() - started)
        return index


def _check(asked: pa.Table, queries: Path, passages: int, corpus: Path) -> None:
    for path, rows in ((corpus, passages), (queries, len(asked))):
        if rows == 0:
            raise UserError(f"{path} has no rows; mining needs at least one: check what the task's source yields.")
    for query_id, positives in zip(asked["query_id"].to_pylist(), asked["positives"].to_pylist(), strict=True):
        if not positives:
            raise UserError(f"query {query_id!r} of {queries} has no positive; give it one or remove it.")
        strays = [row for row in positives if not 0 <= row < passages]
        if strays:
            raise UserError(
                f"query {query_id!r} of {queries} has positive {strays[0]}, "
                f"but {corpus} has rows 0 to {passages - 1}; prepare both files together."
            )


def _on_gpus(index):
    """``index`` split over all GPUs that faiss can use; itself when there are none."""
    import faiss

    if not faiss.get_num_gpus():
        return index
    options = faiss.GpuMultipleClonerOptions()
    options.shard = True
    return faiss.index_cpu_to_all_gpus(index, options)


def _search(index, embeddings: np.ndarray, depth: int) -> list[Ranking]:
    """The ``depth`` best passages of each query; passages of equal score in the order of their rows."""
    scores, rows = index.search(embeddings, depth)
    order = np.lexsort((rows, -scores))
    scores, rows = np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
    return [Ranking(*pair) for pair in zip(rows, scores, strict=True)]


def _queries(block: pa.Table, start: int, embeddings: np.ndarray, index) -> list[Query]:
    """The block's queries, with the lowest score of their positives."""
    positives = [np.array(rows, dtype=np.int64) for rows in block["positives"].to_pylist()]
    lengths = np.array([len(rows) for rows in positives])
    vectors = index.reconstruct_batch(np.concatenate(positives))
    scores = np.einsum("pd,pd->p", np.repeat(embeddings, lengths, axis=0), vectors)
    lowest = np.minimum.reduceat(scores, np.cumsum(lengths) - lengths)
    keys = text_keys(block["query"].to_pylist())
    return [
        Query(start + i, key, rows, float(score))
        for i, (key, rows, score) in enumerate(zip(keys, positives, lowest, strict=True))
    ]


def _table(
    wanted: list[Query], rankings: list[Ranking], chosen: list[Selection], mining: Mining, counts: Counter[str]
) -> pa.Table:
    """The block's rows of the output; adds its counts to ``counts``."""
    columns: dict[str, list] = {name: [] for name in NEGATIVES.names}
    for query, ranking, selection in zip(wanted, rankings, chosen, strict=True):
        number = len(selection.mined) + len(selection.filled)
        dropped = mining.too_few == "drop" and number < mining.samples
        counts.update({"candidates": len(ranking.rows), **selection.dropped})
        counts.update(
            {
                "queries filled up": len(selection.filled) > 0,
                "passages filled in": len(selection.filled),
                "queries dropped": dropped,
                "queries with no negative": number == 0 and not dropped,
            }
        )
        if not dropped:
            columns["query"].append(query.row)
            columns["negatives"].append([*ranking.rows[selection.mined].tolist(), *selection.filled.tolist()])
            columns["scores"].append([*ranking.scores[selection.mined].tolist(), *[None] * len(selection.filled)])
    return pa.table(columns, schema=NEGATIVES)


def _report(counts: Counter[str]) -> None:
    for name, number in counts.items():
        log.info("%s: %d", name, number)
