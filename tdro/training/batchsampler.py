"""A mixture for a training that is not ours: a batch sampler that sentence-transformers' trainer takes.

    weights JSON -> ``SentenceTransformerTrainingArguments(multi_dataset_batch_sampler=...)``

A batch holds rows of one dataset. That trainer has samplers for equal shares and for shares by size; what it lacks is
asked for in sentence-transformers' issue #2975. Which batch comes when follows from seed and epoch alone, so that a
training that goes on from a checkpoint reads what it would have read.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from sentence_transformers.base.sampler import MultiDatasetDefaultBatchSampler
from torch.utils.data import BatchSampler, ConcatDataset

from tdro.config.nearest import hint
from tdro.errors import UserError
from tdro.mixtures.plan import systematic
from tdro.mixtures.weights import read_weights

log = logging.getLogger(__name__)

# Between the epochs that two passes over a dataset are told: no training has as many, so no two passes have one order.
_APART = 1 << 24


def weighted_batch_sampler(
    weights: str | Path, *, names: Iterable[str] | None = None, batches: int | None = None
) -> "partial[WeightedBatchSampler]":
    """A mixture as sentence-transformers' trainer takes it.

    Example:
        >>> args = SentenceTransformerTrainingArguments(
        ...     output_dir="out", multi_dataset_batch_sampler=tdro.weighted_batch_sampler("curr.json")
        ... )  # doctest: +SKIP

    Args:
        weights: Weights JSON, ours or the released ones. Each dataset with a weight must be there; datasets without one
            are left out.
        names: What the datasets are called, in their order: the ``DatasetDict`` that the trainer gets, or its keys.
            None takes the names that the datasets carry (``info.dataset_name``), as those of ``tdro export-data`` do.
        batches: Batches of an epoch; None takes as many as the weighted datasets have together. With those of the whole
            training, and one epoch, no row comes a second time before every row of its dataset has come.

    Raises:
        UserError: for a file that holds no weights, or a number of batches below 1. When the trainer calls what is
            returned: for a weighted dataset that is not there, or has no batch.
    """
    if batches is not None and batches < 1:
        raise UserError(f"batches={batches} is no length of an epoch; give at least 1.")
    shares = {name: weight for name, weight in read_weights(weights).weights.items() if weight > 0}
    known = None if names is None else list(names)
    return partial(WeightedBatchSampler, shares=shares, source=str(weights), names=known, batches=batches)


class WeightedBatchSampler(MultiDatasetDefaultBatchSampler):
    """Batches of one dataset each, of which every dataset has its share.

    In an epoch of n batches a dataset of share w has w * n, rounded down or up at random, so that over epochs the
    expectation is exact. A dataset whose batches are used up begins anew, in another order.

    Args:
        dataset: The datasets, one after the other.
        batch_samplers: What makes the batches of each.
        generator: Shared with ``batch_samplers``; an epoch seeds it.
        seed: Decides the order, with the epoch (``set_epoch``).
        shares: Weight of each dataset that is drawn from.
        source: The file of the weights, for messages.
        names: Names of the datasets; None: those that they carry.
        batches: Of an epoch; None: as many as the weighted datasets have.

    Raises:
        UserError: for a weighted dataset that is not there.
    """

    def __init__(
        self,
        dataset: ConcatDataset,
        batch_samplers: list[BatchSampler],
        generator: torch.Generator | None = None,
        seed: int = 0,
        *,
        shares: Mapping[str, float],
        source: str,
        names: list[str] | None = None,
        batches: int | None = None,
    ) -> None:
        super().__init__(dataset, batch_samplers=batch_samplers, generator=generator, seed=seed)
        self._names = _names(dataset, source) if names is None else names
        if len(self._names) != len(batch_samplers):
            raise UserError(
                f"names has {len(self._names)} names of {len(batch_samplers)} datasets; give the DatasetDict itself."
            )
        _check(self._names, shares, source)
        self._drawn = [number for number, name in enumerate(self._names) if name in shares]
        weights = np.array([shares[self._names[number]] for number in self._drawn])
        self._shares = weights / weights.sum()
        self._batches = batches or sum(len(batch_samplers[number]) for number in self._drawn)

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self._batches

    def __iter__(self) -> Iterator[list[int]]:
        """Rows of each batch of the epoch, counted over all datasets."""
        random = np.random.default_rng([self.seed or 0, self.epoch])
        if self.generator is not None:
            self.generator.manual_seed((self.seed or 0) + self.epoch)
        counts = systematic(self._shares, len(self), random)
        first = [0, *accumulate(len(part) for part in self.dataset.datasets)]
        passes = {number: self._passes(number) for number in self._drawn}
        for number in random.permutation(np.repeat(self._drawn, counts)).tolist():
            yield [first[number] + row for row in next(passes[number])]

    def _passes(self, number: int) -> Iterator[list[int]]:
        """Batches of a dataset without end.

        Raises:
            UserError: when it has none.
        """
        sampler, done = self.batch_samplers[number], 0
        while True:
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(self.epoch + done * _APART)
            empty = True
            for batch in sampler:
                empty = False
                yield batch
            if empty:
                raise UserError(
                    f"dataset {self._names[number]!r} gives no batch of {self.batch_size} rows, for want of rows, or "
                    "of different texts where NO_DUPLICATES is asked for; leave it out of the weights, take smaller "
                    "batches, or set dataloader_drop_last=False."
                )
            done += 1


def _names(dataset: ConcatDataset, source: str) -> list[str]:
    """What the datasets say that they are called; raises UserError: where one does not."""
    found = [getattr(getattr(part, "info", None), "dataset_name", None) for part in dataset.datasets]
    if not all(found):
        raise UserError(
            f'the datasets do not say what they are called; write weighted_batch_sampler("{source}", names=datasets) '
            "with the DatasetDict that the trainer gets."
        )
    return found


def _check(names: list[str], shares: Mapping[str, float], source: str) -> None:
    """Raises UserError: when a weighted dataset is missing or two have one name; tells what is left out."""
    if missing := [name for name in shares if name not in names]:
        raise UserError(
            f"{source} gives weight to {missing[0]!r}{hint(missing[0], names)}, and the datasets are called "
            f"{', '.join(names)}; rename them, or give their names: weighted_batch_sampler(..., names=datasets)."
        )
    if twice := [name for name in shares if names.count(name) > 1]:
        raise UserError(f"two datasets are called {twice[0]!r}; give each a name: names=datasets.")
    if left_out := [name for name in names if name not in shares]:
        log.warning("%s has no weight for %s; nothing is drawn from there", source, ", ".join(left_out))
