"""The two contrastive losses, both computed in float32 whatever the precision of the encoder."""

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.util import all_gather_with_grad, cos_sim, get_rank, pairwise_cos_sim
from torch import Tensor

from tdro.models.processes import sent
from tdro.training.collate import Batch, rows_of_all
from tdro.training.distill import Distillation
from tdro.training.forward import embed
from tdro.training.masks import KnownPositives
from tdro.training.meter import Meter

#: Logits of passages out of the first so many numbers of the embeddings, which the cosine scales to unit length anew;
#: None takes all numbers.
Logits = Callable[[int | None], Tensor]


class ContrastiveLoss(MultipleNegativesRankingLoss):
    """InfoNCE over own positive, hard negatives, in-batch and cross-device passages (paper, formula 1).

    Two things differ from sentence-transformers' loss. Similarities are computed in float32: at a temperature of 0.002
    the rounding of a bfloat16 cosine is larger than most differences that matter. And another row's passage is left out
    of the sum where it is a known positive of the query. Rows may also have their own hard negatives only, and learn a
    cross-encoder's scores beside (:mod:`tdro.training.distill`).

    Args:
        model: A SentenceTransformer whose embeddings have unit length.
        temperature: Tau.
        known: Known positives of each row of the plan; None leaves no passage out.
        factors: What the loss of each row of the plan is scaled by, shape (rows,); None scales nothing. The rows of a
            batch share a task, hence a factor.
        meter: Is told tokens and losses, and stops the training where something is not finite.
        dimensions: The loss is the sum of those of the embeddings cut to each of these dimensions (Kusupati et al.
            2022), as sentence-transformers' ``MatryoshkaLoss``; with none it is that of the whole embeddings.
        alone: Whether the rows of a batch are compared with no passage of other rows, a bool a row of the plan, shape
            (rows,), the same in all rows of a batch; None compares all with the whole batch.
        distillation: Blends in what a cross-encoder says of the rows; None does not.
    """

    def __init__(
        self,
        model,
        temperature: float,
        known: KnownPositives | None = None,
        factors: Tensor | None = None,
        meter: Meter | None = None,
        dimensions: Sequence[int] = (),
        alone: Tensor | None = None,
        distillation: Distillation | None = None,
    ) -> None:
        several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        super().__init__(model, scale=1 / temperature, gather_across_devices=several)
        self._known, self._factors = known, factors
        self._meter = meter
        self._dimensions = tuple(dimensions) or (None,)  # None keeps all
        self._alone, self._distillation = alone, distillation

    def forward(self, batch: Batch, rows: Sequence[int]) -> Tensor:
        """As the parent class, of a batch that is dealt out to passes (:mod:`tdro.training.collate`).

        Args:
            batch: The queries, the positives and each column of negatives.
            rows: Number of each row in the plan, n of them.
        """
        embeddings = embed(self.model, batch, self._meter)
        loss = self.compute_loss_from_embeddings(embeddings, rows)
        if self._meter:
            losses = loss.detach().expand(len(rows))
            self._meter.add_losses(rows, losses)
            sums = [embedding.detach().sum(dim=1) for embedding in embeddings]
            self._meter.add_values(rows, torch.stack([*sums, losses], dim=1))
        return loss if self._factors is None else loss * float(self._factors[rows[0]])

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], rows: Sequence[int] | None) -> Tensor:
        """Mean loss of this process's queries, a scalar; of several dimensions their sum.

        Args:
            embeddings: Of the queries, the positives and each column of negatives, shape (n, d) each.
            rows: Number of each row in the plan; not read where nothing depends on the row.
        """
        with torch.autocast(embeddings[0].device.type, enabled=False):
            queries, *passages = [e.float() for e in embeddings]
            alone = self._alone is not None and bool(self._alone[rows[0]])
            logits, own = self._own(queries, passages) if alone else self._in_batch(queries, passages, rows)
            return torch.stack([self._loss(logits(size), own, rows) for size in self._dimensions]).sum()

    def _loss(self, scores: Tensor, own: Tensor, rows: Sequence[int] | None) -> Tensor:
        """Mean loss of rows by their logits, shape (n, N), and the places of their own passages, shape (n, 1 + m)."""
        if self._distillation is None:
            return torch.nn.functional.cross_entropy(scores, own[:, 0])
        losses = torch.nn.functional.cross_entropy(scores, own[:, 0], reduction="none")
        return self._distillation.blended(losses, scores.gather(1, own), rows).mean()

    def _in_batch(self, queries: Tensor, passages: list[Tensor], rows: Sequence[int] | None) -> tuple[Logits, Tensor]:
        """Logits of the passages of all processes, shape (n, N), and the places of each row's own, shape (n, 1 + m)."""
        first = 0
        if self.gather_across_devices:
            passages = [all_gather_with_grad(column) for column in passages]
            first = get_rank() * len(queries)
        places = torch.arange(first, first + len(queries), device=queries.device)
        own = places[:, None] + torch.arange(len(passages), device=queries.device) * len(passages[0])
        left_out = self._known.mask(rows_of_all(rows), first, len(queries)) if self._known else None
        mask = None if left_out is None else sent(left_out, queries.device)
        everything = torch.cat(passages)

        def logits(size: int | None) -> Tensor:
            scores = cos_sim(queries[:, :size], everything[:, :size]) * self.scale
            return scores if mask is None else scores.masked_fill(mask, -torch.inf)

        return logits, own

    def _own(self, queries: Tensor, passages: list[Tensor]) -> tuple[Logits, Tensor]:
        """The same with the passages of a row alone, shape (n, 1 + m)."""

        def logits(size: int | None) -> Tensor:
            similarities = [pairwise_cos_sim(queries[:, :size], column[:, :size]) for column in passages]
            return torch.stack(similarities, dim=1) * self.scale

        return logits, torch.arange(len(passages), device=queries.device).expand(len(queries), -1)


def own_negatives_loss(queries: Tensor, passages: Tensor, temperature: float) -> Tensor:
    """InfoNCE of each row over its own positive and hard negatives only (paper, section on tDRO).

    In a batch that mixes tasks the passages of other rows are no negatives.

    Args:
        queries: Unit-length embeddings, shape (n, d).
        passages: Unit-length embeddings of the positive, then the negatives, shape (n, 1 + m, d).
        temperature: Tau.

    Returns:
        Losses of the rows, shape (n,), float32.
    """
    with torch.autocast(queries.device.type, enabled=False):
        scores = torch.einsum("nd,nmd->nm", queries.float(), passages.float()) / temperature
        return torch.logsumexp(scores, dim=1) - scores[:, 0]
