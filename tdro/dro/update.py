"""The task weights of tDRO and their update (docs/algorithm.md; paper, section on tDRO).

No model and no files: :class:`TaskWeights` sees losses and answers with weights, so a run can be
replayed from recorded losses.
"""

import copy
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from tdro.config.training import Schedule, Tdro

#: Optimisers of the log weights, with torch's defaults beside the step size and the decay; ``sgd`` is the paper's.
OPTIMIZERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}


class TaskWeights:
    """Weights alpha of k tasks, updated by gradient ascent on log alpha.

    The update follows the released code operation by operation in float32, so that recorded runs
    of it are reproduced.

    Args:
        initial: Weights to start from, shape (k,), positive; their sum does not matter.
        tdro: How losses are measured, and how far and by what the weights are moved.
    """

    def __init__(self, initial: Tensor, tdro: Tdro) -> None:
        if not (initial > 0).all():
            raise ValueError("tDRO cannot start from weights that are not positive")
        self._tdro = tdro
        start = initial.float() / initial.float().sum()
        self._log_weights = start.log()
        # Decay would pull the log weights to 0, that is the weights apart from each other by no measurement.
        options = {"lr": tdro.step_size, "maximize": True, "weight_decay": 0.0}
        self._optimizer = OPTIMIZERS[tdro.weight_optimizer]([self._log_weights], **options)
        self._schedule = LambdaLR(self._optimizer, partial(_factor, tdro.weight_schedule, tdro.steps))
        self._ema = start.clone()
        self._sum = torch.zeros_like(start)
        self._steps = 0
        self._window: list[tuple[Tensor, ...]] = []
        #: Measurement of the last finished window, averaged over it, and the same after clipping; shape (k,).
        self.measurement = torch.zeros_like(start)
        self.gradient = torch.zeros_like(start)
        #: How many rows carry each task's measurement: (sum |v|)^2 / sum v^2 of what each row of the window adds to it,
        #: so all of them when they add alike, and 1 when one row adds everything; shape (k,).
        self.effective_rows = torch.zeros_like(start)
        #: What each row of the window adds to its task's ``gradient``, without regard to sign, in the order in which
        #: the rows were observed: where no row subtracts, those of a task sum to it.
        self.row_parts = torch.zeros(0)

    @property
    def current(self) -> Tensor:
        """Weights after the last update, shape (k,), sum 1."""
        return self._log_weights.exp()

    @property
    def mean(self) -> Tensor:
        """Mean of the weights over all updates, shape (k,); the initial weights before the first."""
        return self._sum / self._steps if self._steps else self.current

    @property
    def ema(self) -> Tensor:
        """Exponential moving average of the weights, shape (k,)."""
        return self._ema

    def observe(self, task_ids: Tensor, proxy_loss: Tensor, reference_loss: Tensor, *, last: bool = True) -> Tensor:
        """Take in one micro-batch, and update the weights when it is the ``last`` of its window.

        Args:
            task_ids: Task of each row of the gathered micro-batch, shape (n,), integers below k.
            proxy_loss: Loss of the proxy model on each row, shape (n,).
            reference_loss: Loss of the reference model on each row, shape (n,).
            last: Whether this micro-batch ends an accumulation window.

        Returns:
            Weight of each row in the proxy's loss, shape (n,), sum 1: the task's weight over the sum
            of the rows' task weights. In the last micro-batch the updated weights are used, in the
            others those of the window's start, as the released code has it.
        """
        task_ids = task_ids.cpu().long()
        proxy_loss = proxy_loss.detach().float().cpu()
        reference_loss = reference_loss.detach().float().cpu()
        self._window.append(self._measure(task_ids, proxy_loss, reference_loss))
        if last:
            self._update()
        rows = self.current[task_ids]
        return rows / rows.sum()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on later exactly as if never stopped."""
        return {
            "log_weights": self._log_weights.clone(),
            "ema": self._ema.clone(),
            "sum": self._sum.clone(),
            "steps": self._steps,
            "window": [tuple(part.clone() for part in seen) for seen in self._window],
            "optimizer": copy.deepcopy(self._optimizer.state_dict()),
            "schedule": self._schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that :meth:`state_dict` gave."""
        self._log_weights.copy_(state["log_weights"])  # in place: the optimiser holds this very tensor
        self._ema, self._sum = state["ema"], state["sum"]
        self._steps, self._window = state["steps"], list(state["window"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])

    def _measure(self, task_ids: Tensor, proxy_loss: Tensor, reference_loss: Tensor) -> tuple[Tensor, ...]:
        """Measurement M_g of each task on one micro-batch, shape (k,), 0 for a task with no row.

        Then the sum, and the sum of squares, of what its rows add to it without regard to sign, both of shape (k,);
        then the task of each row and what it adds, both of shape (n,).
        """
        values = self._row_values(proxy_loss, reference_loss)
        measurement = self._task_means(task_ids, values)
        parts = values.abs() / torch.bincount(task_ids)[task_ids]
        if self._tdro.measure == "ratio":
            reference = self._task_means(task_ids, reference_loss)
            measurement, parts = _ratio(measurement, reference), _ratio(parts, reference[task_ids])
        sums, squares = self._task_sums(task_ids, values.abs()), self._task_sums(task_ids, values**2)
        return measurement, sums, squares, task_ids, parts

    def _row_values(self, proxy_loss: Tensor, reference_loss: Tensor) -> Tensor:
        """What each row adds to its task's measurement, up to a factor of the task, shape (n,)."""
        if self._tdro.measure == "released":
            # All zero would divide by zero; each is then below the floor.
            normalised = reference_loss / reference_loss.sum().clamp(min=torch.finfo(torch.float32).tiny)
            return proxy_loss / torch.where(normalised < self._tdro.floor, torch.ones_like(normalised), normalised)
        if self._tdro.measure == "difference":
            return proxy_loss - reference_loss
        return (proxy_loss - reference_loss).clamp(min=0) if self._tdro.measure == "excess" else proxy_loss

    def _task_means(self, task_ids: Tensor, values: Tensor) -> Tensor:
        sums = self._task_sums(task_ids, values)
        return sums / torch.bincount(task_ids, minlength=len(sums)).clamp(min=1)

    def _task_sums(self, task_ids: Tensor, values: Tensor) -> Tensor:
        return torch.zeros_like(self._log_weights).index_add_(0, task_ids, values)

    def _update(self) -> None:
        measurements, sums, squares, tasks, parts = zip(*self._window, strict=True)
        self.measurement = torch.stack(measurements).mean(0)
        self.effective_rows = torch.nan_to_num(torch.stack(sums).sum(0) ** 2 / torch.stack(squares).sum(0))
        self.gradient = self._clipped(self.measurement)
        clipped = _ratio(self.gradient, self.measurement)
        self.row_parts = torch.cat(parts) / len(parts) * clipped[torch.cat(tasks)]
        self._window = []
        self._log_weights.grad = self.gradient.clone()
        self._optimizer.step()
        self._schedule.step()
        # A common shift of the log weights changes no weight and no later step; normalised they stay small.
        self._log_weights.copy_(torch.log_softmax(self._log_weights, 0))
        if self._tdro.smoothing:
            even = self._tdro.smoothing / len(self._log_weights)
            self._log_weights.copy_(((1 - self._tdro.smoothing) * self.current + even).log())
        self._steps += 1
        self._sum = self._sum + self.current
        self._ema = self._tdro.ema * self.current + (1 - self._tdro.ema) * self._ema

    def _clipped(self, vector: Tensor) -> Tensor:
        limit, clip = self._tdro.weight_grad_norm, self._tdro.weight_clip
        if clip == "none":
            return vector
        return (
            vector.clamp(-limit, limit) if clip == "value" else vector * (limit / (vector.norm() + 1e-6)).clamp(max=1)
        )


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """The quotient; 0 where it would be of nothing."""
    return torch.where(below != 0, above / below, torch.zeros_like(below))


def _factor(schedule: Schedule, steps: int, step: int) -> float:
    """What the step size is multiplied by at an update, counted from 0."""
    if schedule == "constant":
        return 1.0
    done = min(step / steps, 1.0)
    return 1 - done if schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
