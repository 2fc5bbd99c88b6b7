"""A batch's texts through a model, with little computed on padding and nothing twice.

A batch of rows has texts of many lengths: queries are short, passages long, code longer than headlines. Padded to its
longest text, a third of a mixed batch is padding. Here all texts of a batch, whatever their column, are sorted by
length and go through the model in groups of similar length; a text that stands in the batch several times goes once.
The embeddings, and so loss and gradients, are the same.

Where nothing is padded (flash attention, :mod:`tdro.models.features`), all texts go through the model together: there
is nothing to group.

With a limit of tokens a pass, gradients are cached (Gao et al. 2021, GradCache): all groups are embedded without a
graph, the loss is differentiated with respect to the embeddings, and each group is embedded again with a graph for its
part of the gradient. Memory then holds the activations of one group, whatever the batch.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from sentence_transformers.base.losses.gradcache import RandContext
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from tdro.models.features import distinct, merged, padded, positions, rows_of, text_lengths
from tdro.models.lengths import groups, packs
from tdro.models.processes import processes
from tdro.training.meter import Meter

#: What a forward and backward pass costs beside its tokens, in tokens, by the type of device. Measured on two cores
#: (docs/performance.md); for GPUs an estimate, from some 10 ms to launch the kernels of a pass.
COST = {"cpu": 64, "cuda": 1024}


def embed_columns(
    model, columns: Sequence[Mapping[str, Any]], mini_batch_tokens: int | None = None, meter: Meter | None = None
) -> list[Tensor]:
    """Embeddings of each column's texts.

    Args:
        model: A SentenceTransformer, maybe wrapped for several processes.
        columns: Tokens of the queries, the positives and each column of negatives, n texts each, in any of the forms
            of :mod:`tdro.models.features`.
        mini_batch_tokens: Tokens of a forward pass at most, padding included, unless one text is longer; the gradients
            are cached then. None sets no limit and caches nothing.
        meter: Is told the tokens.

    Returns:
        A tensor of shape (n, d) a column.
    """
    features, places = distinct(merged(columns))
    lengths = text_lengths(features)
    parts = passes(features, lengths, mini_batch_tokens)
    batches = [rows_of(features, part) for part in _as_many_everywhere(parts)]
    if meter:
        meter.add_tokens(sum(lengths), sum(map(positions, batches)))
    cached = mini_batch_tokens is not None and torch.is_grad_enabled()
    embeddings = _embed_cached(model, batches) if cached else torch.cat([_embed(model, batch) for batch in batches])
    order = {place: at for at, place in enumerate(place for part in parts for place in part)}
    at = torch.tensor([order[place] for place in places.tolist()], device=embeddings.device)
    return list(embeddings[at].reshape(len(columns), -1, embeddings.shape[-1]).unbind(0))


def passes(
    features: Mapping[str, Any], lengths: list[int], most: int | None, kind: str | None = None
) -> list[list[int]]:
    """The groups of texts that go through the model together: of like length where there is padding.

    Args:
        features: Tokens of the texts.
        lengths: Tokens of each.
        most: Tokens of a group at most, padding included, unless one text is longer; None sets no limit.
        kind: Type of the device that computes; that of ``features`` unless they are still to go there.
    """
    if padded(features):
        return groups(lengths, COST.get(kind or features["input_ids"].device.type, 64), most)
    return packs(lengths, most)


def _embed(model, batch: Mapping[str, Any]) -> Tensor:
    return model(dict(batch))["sentence_embedding"]


def _embed_cached(model, batches: Sequence[dict[str, Any]]) -> Tensor:
    """Embeddings without a graph, whose gradient, once it is known, is carried into the model group by group."""
    states, found = [], []
    with torch.no_grad():
        for batch in batches:
            states.append(RandContext(*batch.values()))  # dropout draws the same masks again
            found.append(_embed(model, batch))
    embeddings = torch.cat(found).requires_grad_()

    def replay(gradient: Tensor) -> None:
        start = 0
        for number, (batch, state) in enumerate(zip(batches, states, strict=True), start=1):
            # Gradients are exchanged once, with the last group.
            apart = isinstance(model, DistributedDataParallel) and number < len(batches)
            with torch.enable_grad(), model.no_sync() if apart else nullcontext(), state:
                again = _embed(model, batch)
                again.backward(gradient[start : start + len(again)].to(again.dtype))
            start += len(again)

    embeddings.register_hook(replay)
    return embeddings


def _as_many_everywhere(parts: list[list[int]]) -> list[list[int]]:
    """The groups, the largest of them halved until every process has the same number; ``parts`` is changed.

    A model that lies sharded over the processes is gathered at each forward pass, so all must make as many.
    """
    state = processes()
    if state.num_processes > 1:
        number = torch.tensor(len(parts), device=state.device)
        torch.distributed.all_reduce(number, torch.distributed.ReduceOp.MAX)
        while len(parts) < number:
            largest = max(range(len(parts)), key=lambda at: len(parts[at]))
            part, half = parts[largest], len(parts[largest]) // 2
            # A single text goes a second time; its gradient is that of the last time, and zero before.
            parts[largest : largest + 1] = [part[:half], part[half:]] if half else [part, part]
    return parts
