"""What ranks passages: trained retrievers, and those that anchor a table because nothing was trained for them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tdro.config.commands import EvalDataset, Miner, Retriever
from tdro.config.models import Encoding, Model
from tdro.config.prompts import TaskPrompts, take_prompts
from tdro.retrieval.exact import Encoder, Ranking, rank

#: Ranks the passages of a named dataset's corpus for its queries, so many each: by all that the retriever knows, then
#: by its embeddings cut to some dimensions.
Rank = Callable[[str, EvalDataset, list[str], int], list[Ranking]]


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
        UserError: for a model or embeddings that cannot be loaded.
    """
    if retriever == "bm25":
        return _bm25
    encoder, prompts = open_encoder(retriever, encoding, fetched)

    def ranked(name: str, dataset: EvalDataset, queries: list[str], depth: int) -> list[Ranking]:
        encoder.read_as(name, dataset, prompts)
        embeddings = Path(dataset.embeddings) if dataset.embeddings else None
        return rank(encoder, Path(dataset.corpus), queries, depth, embeddings, dimensions)

    return ranked


def open_encoder(
    retriever: Miner | Model | Path, encoding: Encoding, fetched: Path | None = None
) -> tuple[Encoder, TaskPrompts]:
    """What embeds texts, reading passages as most test sets have them, and what stands before texts of each.

    Raises:
        UserError: for a model that cannot be loaded.
    """
    from tdro.models.bases import base_prompts, load_retriever
    from tdro.models.load import load_embedder, load_trained, trained_prompts

    batch_size = encoding.batch_size
    if isinstance(retriever, Miner):
        model = load_embedder(
            retriever.model, retriever.sha256, retriever.max_length, revision=retriever.revision, fetched=fetched
        )
        prompts = take_prompts(f"mining.encode.model {retriever.model}", model, retriever.prompts)
        batch_size = retriever.batch_size
    elif isinstance(retriever, Model):
        model = load_retriever(retriever, encoding, fetched)
        prompts = base_prompts(retriever, model)
    else:
        model = load_trained(retriever)
        prompts = trained_prompts(retriever, model)
    return Encoder(model, "", prompts.passage or "", encoding.precision, batch_size), prompts


def _bm25(name: str, dataset: EvalDataset, queries: list[str], depth: int) -> list[Ranking]:
    from tdro.retrieval.bm25 import rank as rank_words

    return [Ranking(None, *rank_words(Path(dataset.corpus), queries, depth))]
