"""What an evaluation takes: time, energy, and how much is read. Beside the logs, as it differs from run to run.

    logs/costs/{retriever}/evaluate/{test set}.json, logs/costs/{retriever}/search/{corpus}/{part}.json

The report adds them up (:mod:`tdro.report.stages.costs`).
"""

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tdro.artifacts.files import write_json
from tdro.evaluation.energy import Energy, Joules
from tdro.models.processes import device


@dataclass(frozen=True)
class Cost:
    """What one evaluation, or the search of one part of a corpus, has taken.

    Attributes:
        tests: The test sets.
        seconds: Wall time without that of loading a model, of all starts of the job.
        device: What has computed.
        gpus: How many GPUs, each for all these seconds.
        queries, passages: That were encoded or, by BM25, read.
        tokens: Of them; None where none were counted.
        gpu_joules, cpu_joules: Energy; None where it was not measured, or not of all starts of the job.
    """

    tests: list[str]
    seconds: float
    device: str
    gpus: int
    queries: int
    passages: int
    tokens: int | None
    gpu_joules: float | None
    cpu_joules: float | None

    def write(self, file: Path) -> None:
        """As JSON."""
        write_json(file, asdict(self))


class Stopwatch:
    """Time and energy, from one lap to the next; the first begins when it is ``made``, in seconds of the clock.

    Args:
        embeds: Whether a model is in use. Where none is, no GPU is.
    """

    def __init__(self, *, embeds: bool) -> None:
        self.made = time.time()
        self.device, gpus = _devices() if embeds else ("CPU", [])
        self.gpus = len(gpus)
        self._energy = Energy(gpus if _alone() else ())
        self._since = time.monotonic(), self._energy.read()

    def lap(self) -> tuple[float, Joules]:
        """Seconds and energy since the last call."""
        now = time.monotonic(), self._energy.read()
        before, self._since = self._since, now
        return now[0] - before[0], now[1].since(before[1])


def _devices() -> tuple[str, list[int]]:
    """What a job computes on, and the numbers of its GPUs on this machine."""
    own, local = device(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if own.type != "cuda":
        return "CPU", []
    import torch

    gpus = range(torch.cuda.device_count())[:local] if local > 1 else [own.index]
    return torch.cuda.get_device_name(own), list(gpus)


def _alone() -> bool:
    """Whether all processes of the job are on this machine, whose counters are all that can be read."""
    return os.environ.get("WORLD_SIZE", "1") == os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1"))
