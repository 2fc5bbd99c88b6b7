"""A batch's texts through a model.

The embeddings, and so loss and gradients, are those of each column by itself, whatever the passes that a batch is
dealt out to (:mod:`tdro.training.collate`).

With a limit of tokens a pass, gradients are cached (Gao et al. 2021, GradCache): all passes are embedded without a
graph, the loss is differentiated with respect to the embeddings, and each pass is embedded again with a graph for its
part of the gradient. Memory then holds the activations of one pass, whatever the batch.

Nothing here reads what a device has computed: the host goes ahead and hands it work.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from sentence_transformers.base.losses.gradcache import RandContext
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from tdro.models.processes import most
from tdro.training.collate import Batch
from tdro.training.meter import Meter


def embed(model, batch: Batch, meter: Meter | None = None) -> list[Tensor]:
    """Embeddings of each column's texts.

    Args:
        model: A SentenceTransformer, maybe wrapped for several processes.
        batch: The texts.
        meter: Is told the tokens.

    Returns:
        A tensor of shape (n, d) a column.
    """
    if meter:
        meter.add_tokens(batch.tokens, batch.computed)
    passes = _as_many_everywhere(model, batch)
    cached = batch.cached and torch.is_grad_enabled()
    embeddings = _embed_cached(model, passes) if cached else torch.cat([_embed(model, texts) for texts in passes])
    return list(embeddings[batch.places].unbind(0))


def _embed(model, texts: Mapping[str, Any]) -> Tensor:
    return model(dict(texts))["sentence_embedding"]


def _embed_cached(model, passes: Sequence[dict[str, Any]]) -> Tensor:
    """Embeddings without a graph, whose gradient, once it is known, is carried into the model pass by pass."""
    states, found = [], []
    with torch.no_grad():
        for texts in passes:
            states.append(RandContext(*texts.values()))  # dropout draws the same masks again
            found.append(_embed(model, texts))
    embeddings = torch.cat(found).requires_grad_()

    def replay(gradient: Tensor) -> None:
        start = 0
        for number, (texts, state) in enumerate(zip(passes, states, strict=True), start=1):
            # Gradients are exchanged once, with the last pass.
            apart = isinstance(model, DistributedDataParallel) and number < len(passes)
            with torch.enable_grad(), model.no_sync() if apart else nullcontext(), state:
                again = _embed(model, texts)
                again.backward(gradient[start : start + len(again)].to(again.dtype))
            start += len(again)

    embeddings.register_hook(replay)
    return embeddings


def _as_many_everywhere(model, batch: Batch) -> list[dict[str, Any]]:
    """The passes of a batch, with spare ones until every process has the same number.

    A model that lies sharded over the processes is gathered at each pass, so all must make as many. What a spare pass
    embeds stands in no place of the batch, and its gradient is zero.
    """
    if isinstance(model, DistributedDataParallel):  # each process has all of it
        return batch.passes
    (number,) = most([len(batch.passes)])
    return batch.passes + [batch.spare] * (number - len(batch.passes))
