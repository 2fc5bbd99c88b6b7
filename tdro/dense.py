"""Exact dense retrieval over a corpus of any size: encoded and searched block by block."""

import logging
import time
from pathlib import Path

import numpy as np

from tdro.corpora import blocks, passages
from tdro.errors import UserError
from tdro.precision import autocast
from tdro.texts import passage_texts

log = logging.getLogger(__name__)

# Seconds between two lines of progress.
_EVERY = 30


class Encoder:
    """A SentenceTransformer with what stands before its texts, and the precision of its forward pass.

    Args:
        model: The retriever. Prompts saved with it are forgotten: those given here decide.
        query_prompt: Put before every query.
        passage_prompt: Put before every passage.
        precision: ``bf16`` or ``fp32``, for the forward pass only.
        batch_size: Texts a forward pass.
    """

    def __init__(self, model, query_prompt: str, passage_prompt: str, precision: str, batch_size: int) -> None:
        model.prompts, model.default_prompt_name = {}, None
        self._model, self._precision, self._batch_size = model, precision, batch_size
        self._query_prompt, self._passage_prompt = query_prompt, passage_prompt

    def queries(self, texts: list[str]) -> np.ndarray:
        """Embeddings of unit length, float32 of shape (len(texts), dimension).

        Raises:
            UserError: when an embedding is not finite.
        """
        return self._encode(self._model.encode_query, texts, self._query_prompt)

    def passages(self, texts: list[str]) -> np.ndarray:
        """The same of passages."""
        return self._encode(self._model.encode_document, texts, self._passage_prompt)

    def _encode(self, encode, texts: list[str], prompt: str) -> np.ndarray:
        with autocast(self._precision, self._model.device):
            embeddings = encode(texts, prompt=prompt, batch_size=self._batch_size, show_progress_bar=False)
        # Normalised outside of autocast, where a norm would have three digits.
        embeddings = np.array(embeddings, dtype=np.float32, order="C")
        if not np.isfinite(embeddings).all():
            raise UserError(
                "the model gives embeddings that are not finite, as after a training that diverged; "
                "train it again with a smaller `learning_rate`."
            )
        norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return embeddings / np.maximum(norms, np.finfo(np.float32).tiny)


def rank(encoder: Encoder, corpus: Path, queries: list[str], depth: int) -> tuple[np.ndarray, np.ndarray]:
    """The passages of the highest inner product with each query.

    Args:
        encoder: What embeds queries and passages.
        corpus: A ``corpus.parquet``.
        queries: Texts.
        depth: Passages a query.

    Returns:
        Rows of the corpus and scores, best first, shape (queries, depth); row -1 where the corpus is
        smaller. Equal scores are in the order of the rows.
    """
    import faiss

    total, started = passages(corpus), time.monotonic()
    told = started
    asked = encoder.queries(queries)
    best = np.full((len(queries), depth), -1, dtype=np.int64), np.full((len(queries), depth), -np.inf, np.float32)
    for start, table in blocks(corpus):
        embeddings = encoder.passages(passage_texts(table))
        scores, rows = faiss.knn(asked, embeddings, min(depth, len(table)), metric=faiss.METRIC_INNER_PRODUCT)
        best = _merge(best, (rows + start, scores), depth)
        if time.monotonic() - told > _EVERY:
            told, done = time.monotonic(), start + len(table)
            rate = done / (told - started)
            log.info("encoded %d of %d passages, %.0f a second, %.0f s left", done, total, rate, (total - done) / rate)
    return best


def _merge(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], depth: int
) -> tuple[np.ndarray, np.ndarray]:
    rows, scores = (np.hstack(pair) for pair in zip(one, other, strict=True))
    order = np.lexsort((rows, -scores))[:, :depth]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
