"""What a training shows beside its loss: the loss of each task, tokens a second, padding, memory."""

import resource
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import torch
from accelerate.utils import gather
from torch import Tensor

from tdro.models.processes import processes
from tdro.training.finite import check_finite


class Meter:
    """Counts since it was last read.

    Args:
        tasks: Task of each row of the plan.
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        self._tasks = tasks
        self._names = sorted(set(tasks))
        self._read: Counter[str] = Counter()
        self._cut: Counter[str] = Counter()
        self._values: list[tuple[Sequence[int], Tensor]] = []
        self._start()

    def add_tokens(self, tokens: int, computed: int) -> None:
        """Tokens of the texts of a batch, and positions that went through the model for them."""
        self._tokens += tokens
        self._computed += computed

    def add_losses(self, rows: Sequence[int], losses: Tensor) -> None:
        """Losses of some rows; nobody looks at them before :meth:`read`.

        Args:
            rows: Number of each row in the plan, n of them.
            losses: Loss of each row, shape (n,).
        """
        self._losses.append((rows, losses))

    def add_values(self, rows: Sequence[int], values: Tensor) -> None:
        """What was computed of some rows, shape (n, ...), for :meth:`check`."""
        self._values.append((rows, values))

    def add_cuts(self, rows: Sequence[int], cuts: Sequence[Sequence[int]]) -> None:
        """Texts of some rows, as many a row as there are ``cuts``: which are cut, by place, a list a column."""
        for cut in cuts:
            self._read.update(self._tasks[row] for row in rows)
            self._cut.update(self._tasks[rows[place]] for place in cut)

    def check(self) -> None:
        """Check what was computed since the last time; it waits for the device, so it is not asked in every step.

        Raises:
            UserError: naming the first rows with a value that is not finite.
        """
        for rows, values in self._values:
            check_finite(values, rows)
        self._values = []

    def cuts(self) -> dict[str, tuple[int, int]]:
        """Cut texts and all texts of each task since the start, over all processes; a collective call."""
        counts = [[[self._cut[name], self._read[name]] for name in self._names]]
        total = gather(torch.tensor(counts, device=processes().device)).sum(dim=0)
        return {name: tuple(pair) for name, pair in zip(self._names, total.tolist(), strict=True)}

    def read(self) -> dict[str, float]:
        """What is counted, by name; a collective call, which also checks (:meth:`check`). Counting starts anew.

        ``task_loss/NAME`` is the mean loss of the task's rows that this process has seen, ``tokens_per_second`` and
        ``padding`` (share of the positions computed) are of all processes, ``memory_gb`` is the most a process has held
        so far: of its GPU, or resident where there is none.
        """
        self.check()
        state = processes()
        memory = _memory(state.device)
        counts = torch.tensor([[self._tokens, self._computed, memory]], dtype=torch.float64, device=state.device)
        tokens, computed, memory = gather(counts).cpu().unbind(1)
        seconds = time.monotonic() - self._started
        found = {
            "tokens_per_second": round(tokens.sum().item() / seconds),
            "padding": round(1 - tokens.sum().item() / max(computed.sum().item(), 1), 4),
            "memory_gb": round(memory.max().item(), 3),
        }
        found |= {f"task_loss/{task}": round(loss, 4) for task, loss in self._means().items()}
        self._start()
        return found

    def _start(self) -> None:
        self._started = time.monotonic()
        self._tokens = self._computed = 0
        self._losses: list[tuple[Sequence[int], Tensor]] = []

    def _means(self) -> dict[str, float]:
        sums: dict[str, list[float]] = defaultdict(list)
        for rows, losses in self._losses:
            for row, loss in zip(rows, losses.tolist(), strict=True):
                sums[self._tasks[row]].append(loss)
        return {task: sum(values) / len(values) for task, values in sorted(sums.items())}


def _memory(device: torch.device) -> float:
    """Most memory held so far, in GB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
