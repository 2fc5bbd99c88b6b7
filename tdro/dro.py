"""The task weights of tDRO and their update (docs/algorithm.md; paper, section on tDRO).

No model and no files: :class:`TaskWeights` sees losses and answers with weights, so a run can be
replayed from recorded losses.
"""

from typing import Any, Literal

import torch
from torch import Tensor

Measure = Literal["released", "ratio", "difference", "proxy"]


class TaskWeights:
    """Weights alpha of ``num_tasks`` tasks, updated by gradient ascent on log alpha.

    Args:
        num_tasks: Number of tasks, k.
        step_size: Eta of the ascent.
        ema: Share of the newest weights in the exponential moving average.
        max_grad_norm: l2 norm to which the measurement vector is clipped.
        measure: How a task's loss is set against the reference, see docs/algorithm.md.
        floor: Normalised reference losses below it count as 1 (``released`` only).
        initial: Weights to start from, shape (k,), positive; uniform when None.

    The update follows the released code operation by operation in float32, so that recorded runs
    of it are reproduced.
    """

    def __init__(
        self,
        num_tasks: int,
        *,
        step_size: float = 0.02,
        ema: float = 0.1,
        max_grad_norm: float = 1.0,
        measure: Measure = "released",
        floor: float = 1e-4,
        initial: Tensor | None = None,
    ) -> None:
        self.step_size, self.ema_share, self.max_grad_norm = step_size, ema, max_grad_norm
        self.measure, self.floor = measure, floor
        start = torch.ones(num_tasks) if initial is None else torch.as_tensor(initial, dtype=torch.float32)
        if start.shape != (num_tasks,) or not (start > 0).all():
            raise ValueError(f"initial must hold {num_tasks} positive weights")
        start = start / start.sum()
        self._log_weights = start.log()
        self._ema = start.clone()
        self._sum = torch.zeros(num_tasks)
        self._steps = 0
        self._window: list[Tensor] = []
        #: Measurement of the last finished window, averaged over it, and the same after clipping; shape (k,).
        self.measurement = torch.zeros(num_tasks)
        self.gradient = torch.zeros(num_tasks)

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
            "window": [m.clone() for m in self._window],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that :meth:`state_dict` gave."""
        self._log_weights, self._ema, self._sum = state["log_weights"], state["ema"], state["sum"]
        self._steps, self._window = state["steps"], list(state["window"])

    def _measure(self, task_ids: Tensor, proxy_loss: Tensor, reference_loss: Tensor) -> Tensor:
        """Measurement M_g of each task on one micro-batch, shape (k,); 0 for a task with no row."""
        if self.measure == "released":
            # All zero would divide by zero; each is then below the floor.
            normalised = reference_loss / reference_loss.sum().clamp(min=torch.finfo(torch.float32).tiny)
            normalised = torch.where(normalised < self.floor, torch.ones_like(normalised), normalised)
            return self._task_means(task_ids, proxy_loss / normalised)
        proxy, reference = (self._task_means(task_ids, loss) for loss in (proxy_loss, reference_loss))
        if self.measure == "ratio":
            return torch.where(reference > 0, proxy / reference, torch.zeros_like(proxy))
        return proxy - reference if self.measure == "difference" else proxy

    def _task_means(self, task_ids: Tensor, values: Tensor) -> Tensor:
        sums = torch.zeros_like(self._log_weights).index_add_(0, task_ids, values)
        return sums / torch.bincount(task_ids, minlength=len(sums)).clamp(min=1)

    def _update(self) -> None:
        self.measurement = torch.stack(self._window).mean(0)
        self._window = []
        norm = self.measurement.norm()
        self.gradient = self.measurement * torch.clamp(self.max_grad_norm / (norm + 1e-6), max=1.0)
        self._log_weights = torch.log_softmax(self._log_weights + self.step_size * self.gradient, 0)
        self._steps += 1
        self._sum = self._sum + self.current
        self._ema = self.ema_share * self.current + (1 - self.ema_share) * self._ema
