"""What ranks passages: trained retrievers, and those that anchor a table because nothing was trained for them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tdro.config import Encoding, Model
from tdro.dense import Encoder, Ranking, rank
from tdro.settings import EvalDataset, Miner, Retriever
from tdro.texts import query_prompt

#: Ranks the passages of a dataset's corpus for its queries, so many each: by all that the retriever knows, then by its
#: embeddings cut to some dimensions.
Rank = Callable[[EvalDataset, list[str], int], list[Ranking]]


def open_retriever(
    retriever: Retriever | Path,
    encoding: Encoding,
    embeddings: Path | None = None,
    fetched: Path | None = None,
    dimensions: Sequence[int] = (),
) -> Rank:
    """A retriever, ready to rank.

    Args:
        retriever: The folder of a trained one; or ``bm25``, a base model as it is before any training,
            or the miner.
        encoding: How the base reads texts, and the precision and batch size of the forward pass. How
            many tokens a trained retriever reads is saved with it.
        embeddings: Those of the corpus, where they were made before (:mod:`tdro.encodecorpus`); with
            None the corpus is encoded while it is searched.
        fetched: Manifest of an untrained model, fetched ahead.
        dimensions: Numbers of its embeddings to rank by as well, where it has more.

    Raises:
        UserError: for a model or embeddings that cannot be loaded.
    """
    if retriever == "bm25":
        return _bm25
    encoder = open_encoder(retriever, encoding, fetched)

    def ranked(dataset: EvalDataset, queries: list[str], depth: int) -> list[Ranking]:
        if not isinstance(retriever, Miner):
            encoder.check_instruction(Path(dataset.queries).parent.name, dataset)
            # Queries carry their dataset's instruction, passages only where it is symmetric.
            prompt = query_prompt(dataset.instruction[0])
            encoder.query_prompt, encoder.passage_prompt = prompt, prompt if dataset.symmetric else ""
        return rank(encoder, Path(dataset.corpus), queries, depth, embeddings, dimensions)

    return ranked


def open_encoder(retriever: Miner | Model | Path, encoding: Encoding, fetched: Path | None = None) -> Encoder:
    """What embeds texts: the miner with its own prompts, all others with none yet.

    Raises:
        UserError: for a model that cannot be loaded.
    """
    from tdro.models import load_embedder, load_retriever, load_trained

    if isinstance(retriever, Miner):
        model = load_embedder(
            retriever.model, retriever.sha256, retriever.max_length, revision=retriever.revision, fetched=fetched
        )
        prompts, batch_size = (retriever.query_prompt, retriever.passage_prompt), retriever.batch_size
    else:
        trained = not isinstance(retriever, Model)
        model = load_trained(retriever) if trained else load_retriever(retriever, encoding, fetched)
        prompts, batch_size = ("", ""), encoding.batch_size
    return Encoder(model, *prompts, encoding.precision, batch_size)


def _bm25(dataset: EvalDataset, queries: list[str], depth: int) -> list[Ranking]:
    from tdro.bm25 import rank as rank_words

    return [Ranking(None, *rank_words(Path(dataset.corpus), queries, depth))]
