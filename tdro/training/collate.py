"""A batch as the data loader hands it over: tokenised, and dealt out to the forward passes that it takes.

A batch of rows has texts of many lengths: queries are short, passages long, code longer than headlines. Padded to its
longest text, a third of a mixed batch is padding. Here all texts of a batch, whatever their column, are sorted by
length and put in groups of similar length; a text that stands in the batch several times goes through the model once.
Where nothing is padded (flash attention, :mod:`tdro.models.features`) there is nothing to group.

All of this reads lengths, so it is done here, on the host, before the batch goes to its device: a step that asked the
device for a length would wait for everything that the device still has to compute.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tdro.models.cuts import cut_places
from tdro.models.features import Features, distinct, merged, padded, positions, rows_of, text_lengths
from tdro.models.lengths import groups, packs
from tdro.models.processes import processes

#: What a forward and backward pass costs beside its tokens, in tokens, by the type of device. Measured on two cores
#: (docs/performance.md); for GPUs an estimate, from some 10 ms to launch the kernels of a pass.
COST = {"cpu": 64, "cuda": 1024}


class Batch(NamedTuple):
    """The texts of some rows, c columns of n texts, each distinct one once.

    Attributes:
        passes: What goes through the model together, in any of the forms of :mod:`tdro.models.features`.
        places: Where each text lies among those of all passes, shape (c, n).
        spare: One short text: a pass of a process that has fewer of them than others.
        tokens: Of the distinct texts.
        cached: Whether gradients are cached, because a pass has a limit of tokens.
    """

    passes: list[dict[str, Any]]
    places: Tensor
    spare: dict[str, Any]
    tokens: int
    cached: bool

    @property
    def computed(self) -> int:
        """Positions that go through the model, padding included."""
        return sum(map(positions, self.passes))


class Collator:
    """Makes a batch of items of :func:`tdro.training.batches.dataset`.

    Args:
        model: The retriever, whose tokenizer is used.
        mini_batch_tokens: Tokens of a forward pass at most, padding included, unless one text is longer; None sets no
            limit.
        kind: Type of the device that computes.
    """

    #: The library's trainer asks for it.
    valid_label_columns = ("label",)

    def __init__(self, model, mini_batch_tokens: int | None, kind: str) -> None:
        self._model, self._most, self._kind = model, mini_batch_tokens, kind

    def __call__(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The fields of a :class:`Batch`, a mapping as loaders send it to a device.

        Beside them ``rows``, the number of each row in the plan, and ``cuts``, a list a column of the places of the
        texts that were longer than the model reads.
        """
        names = [name for name in items[0] if name != "label"]
        columns, cuts = [], []
        for name in names:
            texts, task = [item[name] for item in items], "query" if name == "query" else "document"
            columns.append(self._model.preprocess(texts, task=task))
            cuts.append(cut_places(self._model, texts, columns[-1], task))
        found = batch_of(columns, self._most, self._kind)
        return found._asdict() | {"rows": [int(item["label"]) for item in items], "cuts": cuts}


def batch_of(columns: Sequence[Features], mini_batch_tokens: int | None = None, kind: str = "cpu") -> Batch:
    """The batch of tokenised columns, on the host.

    Args:
        columns: Tokens of the queries, the positives and each column of negatives, n texts each.
        mini_batch_tokens: As of a :class:`Collator`.
        kind: Type of the device that computes.
    """
    features, places = distinct(merged(columns))
    lengths = text_lengths(features)
    parts = passes(features, lengths, mini_batch_tokens, kind)
    order = {place: at for at, place in enumerate(place for part in parts for place in part)}
    at = torch.tensor([order[place] for place in places.tolist()]).reshape(len(columns), -1)
    spare = rows_of(features, [min(range(len(lengths)), key=lengths.__getitem__)])
    return Batch([rows_of(features, part) for part in parts], at, spare, sum(lengths), mini_batch_tokens is not None)


def passes(features: Mapping[str, Any], lengths: list[int], most: int | None, kind: str) -> list[list[int]]:
    """The groups of texts that go through the model together: of like length where there is padding.

    Args:
        features: Tokens of the texts.
        lengths: Tokens of each.
        most: Tokens of a group at most, padding included, unless one text is longer; None sets no limit.
        kind: Type of the device that computes.
    """
    if padded(features):
        return groups(lengths, COST.get(kind, 64), most)
    return packs(lengths, most)


def rows_of_all(rows: Sequence[int]) -> Sequence[int]:
    """The rows of all processes of which this process has ``rows``, in the order in which ``gather`` has them.

    A batch is consecutive rows of the plan, dealt out in order (:mod:`tdro.training.trainer`); nobody need be asked.
    """
    state = processes()
    if state.num_processes == 1:
        return rows
    first = rows[0] - state.process_index * len(rows)
    return range(first, first + state.num_processes * len(rows))
