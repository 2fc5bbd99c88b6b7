"""What ranks passages: trained retrievers, and those that anchor a table because nothing was trained for them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tdro.config.commands import EvalDataset, Miner, Retriever
from tdro.config.mining import Encode
from tdro.config.models import Encoding, Model
from tdro.config.prompts import TaskPrompts, take_prompts
from tdro.retrieval.encoder import Encoder
from tdro.retrieval.exact import Ranking, rank


class Rank(NamedTuple):
    """What ranks passages.

    Attributes:
        rank: Ranks the passages of a named dataset's corpus for its queries, so many each: by all that the retriever
            knows, then by its embeddings cut to some dimensions.
        tokens: How many it has read so far; None where nobody counts.
    """

    rank: Callable[[str, EvalDataset, list[str], int], list[Ranking]]
    tokens: Callable[[], int | None]


def open_retriever(
    retriever: Retriever | Path,
    encoding: Encoding,
    fetched: Path | None = None,
    dimensions: Sequence[int] = (),
) -> Rank:
    """A retriever, ready to rank.

    Args:
        retriever: The folder of a trained one; or ``bm25``, a base model as it is before any training,
            or the miner.
        encoding: How the base reads texts, and the precision and batch size of the forward pass. How
            many tokens a trained retriever reads is saved with it.
        fetched: Manifest of an untrained model, fetched ahead.
        dimensions: Numbers of its embeddings to rank by as well, where it has more.

    Raises:
        UserError: for a model that cannot be loaded.
    """
    if retriever == "bm25":
        return Rank(_bm25, lambda: None)
    encoder, prompts = open_encoder(retriever, encoding, fetched)

    def ranked(name: str, dataset: EvalDataset, queries: list[str], depth: int) -> list[Ranking]:
        encoder.read_as(name, dataset, prompts)
        return rank(encoder, Path(dataset.corpus), queries, depth, dimensions)

    return Rank(ranked, lambda: encoder.cuts.tokens)


def open_encoder(
    retriever: Miner | Model | Path, encoding: Encoding, fetched: Path | None = None
) -> tuple[Encoder, TaskPrompts]:
    """What embeds texts, reading passages as most test sets have them, and what stands before texts of each.

    Raises:
        UserError: for a model that cannot be loaded.
    """
    from tdro.models.bases import base_prompts, load_retriever
    from tdro.models.load import load_trained, trained_prompts

    batch_size, name = encoding.batch_size, "the model"
    if isinstance(retriever, Miner):
        model, prompts = load_miner(retriever, fetched)
        batch_size, name = retriever.batch_size, f"mining.encode.model {retriever.model}"
    elif isinstance(retriever, Model):
        model = load_retriever(retriever, encoding, fetched)
        prompts = base_prompts(retriever, model)
    else:
        model = load_trained(retriever)
        prompts = trained_prompts(retriever, model)
    return Encoder(model, "", prompts.passage or "", encoding.precision, batch_size, name), prompts


def load_miner(miner: Encode | Miner, fetched: Path | None = None) -> tuple[Any, TaskPrompts]:
    """The miner's SentenceTransformer, and what stands before its texts.

    Raises:
        UserError: when it cannot be loaded.
    """
    from tdro.models.load import load_embedder

    model = load_embedder(miner.model, miner.sha256, miner.max_length, revision=miner.revision, fetched=fetched)
    return model, take_prompts(f"mining.encode.model {miner.model}", model, miner.prompts)


def _bm25(name: str, dataset: EvalDataset, queries: list[str], depth: int) -> list[Ranking]:
    from tdro.retrieval.bm25 import rank as rank_words

    return [Ranking(None, *rank_words(Path(dataset.corpus), queries, depth))]
