"""A batch's texts through a model, with little computed on padding.

A batch of rows has texts of many lengths: queries are short, passages long, code longer than headlines. Padded to its
longest text, a third of a mixed batch is padding. Here all texts of a batch, whatever their column, are sorted by
length and go through the model in groups of similar length. The embeddings, and so loss and gradients, are the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tdro.lengths import groups
from tdro.processes import processes

#: What a forward and backward pass costs beside its tokens, in tokens, by the type of device. Measured on two cores
#: (docs/performance.md); for GPUs an estimate, from some 10 ms to launch the kernels of a pass.
COST = {"cpu": 64, "cuda": 1024}


def embed_columns(model, columns: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    """Embeddings of each column's texts.

    Args:
        model: A SentenceTransformer, maybe wrapped for several processes.
        columns: Tokens of the queries, the positives and each column of negatives, n texts each: ``input_ids`` and
            ``attention_mask`` of shape (n, longest of the column).

    Returns:
        A tensor of shape (n, d) a column.
    """
    features = _merged(columns)
    lengths = features["attention_mask"].sum(dim=1).tolist()
    parts_of = _as_many_everywhere(groups(lengths, COST.get(features["attention_mask"].device.type, 64)))
    parts = [model(rows_of(features, part))["sentence_embedding"] for part in parts_of]
    order = torch.tensor([place for part in parts_of for place in part], device=parts[0].device)
    embeddings = torch.cat(parts)[order.argsort()]
    return list(embeddings.reshape(len(columns), -1, embeddings.shape[-1]).unbind(0))


def rows_of(features: Mapping[str, Any], places: Sequence[int]) -> dict[str, Any]:
    """Some texts of a tokenised batch, without the positions that are padding in all of them."""
    mask = features["attention_mask"]
    rows = torch.tensor(places, device=mask.device)
    used = mask[rows].any(dim=0)
    return {
        name: value[rows][:, used] if _is_tokens(value, mask) else value[rows] if _is_texts(value, mask) else value
        for name, value in features.items()
    }


def _merged(columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All columns as one batch, the texts of the first column first."""
    longest = max(column["attention_mask"].shape[1] for column in columns)
    merged = {}
    for name, first in columns[0].items():
        if _is_tokens(first, columns[0]["attention_mask"]):
            padded = [torch.nn.functional.pad(c[name], (0, longest - c[name].shape[1])) for c in columns]
            merged[name] = torch.cat(padded)
        elif name != "task":  # of the column; it has decided on the length by now
            merged[name] = first
    return merged


def _as_many_everywhere(parts: list[list[int]]) -> list[list[int]]:
    """The groups, the largest of them halved until every process has the same number.

    A model that lies sharded over the processes is gathered at each forward pass, so all must make as many.
    """
    state = processes()
    if state.num_processes > 1:
        number = torch.tensor(len(parts), device=state.device)
        torch.distributed.all_reduce(number, torch.distributed.ReduceOp.MAX)
        while len(parts) < number:
            largest = max(range(len(parts)), key=lambda at: len(parts[at]))
            part, half = parts[largest], len(parts[largest]) // 2
            parts[largest : largest + 1] = [part[:half], part[half:]]
    return parts


def _is_tokens(value: Any, mask: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == mask.shape


def _is_texts(value: Any, mask: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape[:1] == mask.shape[:1]
