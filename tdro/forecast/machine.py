"""What this machine is, told without torch."""

import os
import platform
from pathlib import Path
from typing import NamedTuple


class Machine(NamedTuple):
    """A machine: its processor, its cores that this process may use, its GPUs by name."""

    processor: str
    cores: int
    gpus: tuple[str, ...]

    def __str__(self) -> str:
        if self.gpus:
            return f"{len(self.gpus)} x {self.gpus[0]}"
        return f"{self.cores} cores of {self.processor}"


def this_machine() -> Machine:
    """The machine that this process runs on."""
    return Machine(_processor(), len(os.sched_getaffinity(0)), _gpus())


def _processor() -> str:
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus() -> tuple[str, ...]:
    """Names of NVIDIA's GPUs, as its driver tells them."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return ()
    told = [line for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")) for line in _lines(file)]
    return tuple(line.partition(":")[2].strip() for line in told if line.startswith("Model"))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
