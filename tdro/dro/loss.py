"""The loss of the proxy: it weighs the rows of a batch by the weights of their tasks, and moves the weights."""

from collections.abc import Sequence

import torch
from accelerate.utils import gather
from torch import Tensor

from tdro.config.training import Tdro
from tdro.dro.update import TaskWeights
from tdro.models.processes import processes, sent
from tdro.training.collate import Batch, rows_of_all
from tdro.training.finite import check_finite
from tdro.training.forward import embed
from tdro.training.losses import own_negatives_loss
from tdro.training.meter import Meter


class RobustLoss(torch.nn.Module):
    """Loss of the proxy: the sum over rows of row weight x own-negatives loss (docs/algorithm.md).

    Args:
        model: The proxy.
        weights: The task weights, which see each micro-batch and say what its rows weigh.
        task_ids: Task of each row of the plan, shape (rows,).
        reference: Reference loss of each row of the plan, shape (rows,).
        tdro: Temperature, and micro-batches between two updates.
        meter: Is told tokens and losses.
    """

    def __init__(
        self, model, weights: TaskWeights, task_ids: Tensor, reference: Tensor, tdro: Tdro, meter: Meter
    ) -> None:
        super().__init__()
        self._meter = meter
        self.model, self.weights = model, weights
        self.task_ids, self.reference = task_ids, reference
        self.temperature, self.accumulation = tdro.temperature, tdro.accumulation
        self._window: list[tuple[Tensor, ...]] = []
        #: What each row of the plan has added to its task's clipped measurement so far, shape (rows,).
        self.carried = torch.zeros(len(reference), dtype=torch.float64)
        #: What each finished step did, as columns of shape (k,).
        self.history: list[dict[str, list]] = []

    def forward(self, batch: Batch, rows: Sequence[int]) -> Tensor:
        """The weighted loss of a micro-batch, a scalar.

        Args:
            batch: The queries, the positives and each column of negatives.
            rows: Number of each row in the plan, n of them.
        """
        queries, *passages = embed(self.model, batch, self._meter)
        losses = own_negatives_loss(queries, torch.stack(passages, dim=1), self.temperature)
        everyone, all_losses = rows_of_all(rows), _on_host(losses)
        check_finite(all_losses[:, None], everyone)
        self._meter.add_losses(everyone, all_losses)
        row_weights = self._observe(torch.as_tensor(everyone), all_losses)
        state = processes()
        own = sent(row_weights.view(state.num_processes, -1)[state.process_index], losses.device)
        # Gradients are averaged over processes, the weights are shares of all rows: hence the factor.
        return state.num_processes * (own * losses).sum()

    def _observe(self, rows: Tensor, losses: Tensor) -> Tensor:
        tasks, reference = self.task_ids[rows], self.reference[rows]
        self._window.append((rows, tasks, losses, reference))
        last = len(self._window) == self.accumulation
        row_weights = self.weights.observe(tasks, losses, reference, last=last)
        if last:
            self.history.append(self._record())
            self.carried.index_add_(0, torch.cat([seen[0] for seen in self._window]), self.weights.row_parts.double())
            self._window = []
        return row_weights

    def _record(self) -> dict[str, list]:
        _, tasks, losses, reference = (torch.cat(values) for values in zip(*self._window, strict=True))
        weights = self.weights
        rows = torch.bincount(tasks, minlength=len(weights.current))
        return {
            "rows": rows.tolist(),
            "proxy_loss": _means(tasks, losses, rows),
            "reference_loss": _means(tasks, reference, rows),
            "measurement": weights.measurement.tolist(),
            "gradient": weights.gradient.tolist(),
            "effective_rows": weights.effective_rows.tolist(),
            "weight": weights.current.tolist(),
            "mean": weights.mean.tolist(),
            "ema": weights.ema.tolist(),
        }


def _on_host(losses: Tensor) -> Tensor:
    """The losses of all processes' rows, shape (N,), on the CPU: the one time that a micro-batch waits for its device.

    The update of the weights is a few numbers a task, in the very operations of the released code, and the weights
    scale the loss of this same micro-batch: they must be known before its backward pass.
    """
    return gather(losses.detach()).cpu()


def _means(tasks: Tensor, values: Tensor, rows: Tensor) -> list[float | None]:
    sums = torch.zeros(len(rows), dtype=torch.float64).index_add_(0, tasks, values.double())
    return [s / n if n else None for s, n in zip(sums.tolist(), rows.tolist(), strict=True)]
