"""Distillation: a retriever learns how a cross-encoder ranks the passages of a row (docs/algorithm.md)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tdro.config.training import Distill
from tdro.models.processes import sent

# Stands for minus infinity: its exponential is 0, and times 0 it is 0.
_LOWEST = torch.finfo(torch.float32).min / 2


class Distillation:
    """Adds the divergence from the cross-encoder to the contrastive loss of each row.

    Args:
        scores: The cross-encoder's score of the positive and the negatives of each row of the plan, NaN where it has
            none, shape (rows, 1 + m).
        settings: Weight and temperature.
    """

    def __init__(self, scores: Tensor, settings: Distill) -> None:
        self._scores, self._weight, self._temperature = scores, settings.weight, settings.temperature

    def blended(self, contrastive: Tensor, own: Tensor, rows: Sequence[int]) -> Tensor:
        """The losses of some rows. A row that is not distilled (:func:`usable`) keeps its contrastive loss.

        Args:
            contrastive: The contrastive loss of each row, shape (n,).
            own: Logits of its positive and negatives, shape (n, 1 + m); -inf where one is left out of the loss.
            rows: Number of each row in the plan, n of them.
        """
        teacher = sent(self._scores[torch.as_tensor(rows)], own.device)
        counted = usable(teacher) & torch.isfinite(own)
        distilled = counted[:, 0] & counted[:, 1:].any(dim=1)
        weight = self._weight * distilled
        return (1 - weight) * contrastive + weight * self._temperature**2 * self._divergence(teacher, own, counted)

    def _divergence(self, teacher: Tensor, own: Tensor, counted: Tensor) -> Tensor:
        """KL(softmax(teacher / t) || softmax(own)) over the passages that count, shape (n,)."""
        target = (teacher / self._temperature).masked_fill(~counted, _LOWEST).log_softmax(dim=1)
        found = own.masked_fill(~counted, _LOWEST).log_softmax(dim=1)
        return torch.nn.functional.kl_div(found, target, reduction="none", log_target=True).sum(dim=1)


def usable(scores: Tensor) -> Tensor:
    """Which passages of rows can be distilled: those with a score, of rows whose positive and one negative have one.

    Args:
        scores: Of the positive and the negatives, shape (n, 1 + m).

    Returns:
        Bool of the same shape.
    """
    known = torch.isfinite(scores)
    return known & (known[:, :1] & known[:, 1:].any(dim=1, keepdim=True))
