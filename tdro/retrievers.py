"""What ranks passages: trained retrievers, and those that anchor a table because nothing was trained for them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tdro.config import Encoding, Model
from tdro.dense import Encoder, rank
from tdro.jobs import EvalDataset, Miner, Retriever
from tdro.texts import query_prompt

#: Ranks the passages of a dataset's corpus for its queries: rows and scores, shape (queries, depth).
Rank = Callable[[EvalDataset, list[str], int], tuple[np.ndarray, np.ndarray]]


def open_retriever(retriever: Retriever | Path, encoding: Encoding) -> Rank:
    """A retriever, ready to rank.

    Args:
        retriever: The folder of a trained one; or ``bm25``, a base model as it is before any training,
            or the miner.
        encoding: How the base reads texts, and the precision and batch size of the forward pass. How
            many tokens a trained retriever reads is saved with it.

    Raises:
        UserError: for a model that cannot be loaded.
    """
    if retriever == "bm25":
        return _bm25
    if isinstance(retriever, Miner):
        return _miner(retriever, encoding)
    from tdro.models import load_retriever, load_trained

    if isinstance(retriever, Model):
        return _instructed(load_retriever(retriever, encoding), encoding)
    return _instructed(load_trained(retriever), encoding)


def _instructed(model, encoding: Encoding) -> Rank:
    """Queries carry their dataset's instruction, passages only where it is symmetric."""

    def ranked(dataset: EvalDataset, queries: list[str], depth: int) -> tuple[np.ndarray, np.ndarray]:
        prompt = query_prompt(dataset.instruction[0])
        encoder = Encoder(model, prompt, prompt if dataset.symmetric else "", encoding.precision, encoding.batch_size)
        return rank(encoder, Path(dataset.corpus), queries, depth)

    return ranked


def _miner(miner: Miner, encoding: Encoding) -> Rank:
    """The miner reads what it reads when it mines: its own prompts, no instruction."""
    from tdro.models import load_embedder

    model = load_embedder(miner.model, miner.sha256, miner.max_length, revision=miner.revision)
    encoder = Encoder(model, miner.query_prompt, miner.passage_prompt, encoding.precision, miner.batch_size)
    return lambda dataset, queries, depth: rank(encoder, Path(dataset.corpus), queries, depth)


def _bm25(dataset: EvalDataset, queries: list[str], depth: int) -> tuple[np.ndarray, np.ndarray]:
    from tdro.bm25 import rank as rank_words

    return rank_words(Path(dataset.corpus), queries, depth)
