"""Energy that a job's machine uses, by the counters that its hardware has.

GPUs count their own (NVML, through the package nvidia-ml-py where it is installed, since Volta). Intel's and AMD's
processors do by RAPL, where the kernel lets a user read it (``/sys/class/powercap``); they count all that runs on the
machine. What has no counter is None, and nothing is estimated.
"""

import importlib
import logging
import re
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

POWERCAP = Path("/sys/class/powercap")
#: Seconds between two looks: RAPL starts again at 0 after some hundred kilojoules, many minutes of a large processor.
EVERY = 30


class Joules(NamedTuple):
    """Energy of the GPUs of a job, and of the processors of its machine; None where nothing counts it."""

    gpu: float | None
    cpu: float | None

    def since(self, before: "Joules") -> "Joules":
        """The difference."""
        return Joules(*(None if a is None or b is None else a - b for a, b in zip(self, before, strict=True)))


class _Counter:
    """A counter that may start again at 0 behind ``most``.

    Args:
        read: What it shows.
        unit: Joules of 1.
        most: The largest number that it shows; None where it never starts again.
    """

    def __init__(self, read: Callable[[], int], unit: float, most: int | None = None) -> None:
        self._read, self._unit, self._most = read, unit, most
        self._last, self._total = read(), 0

    def joules(self) -> float:
        """Since it was made."""
        now = self._read()
        step = now - self._last
        self._total += step + (self._most + 1 if step < 0 and self._most else 0)
        self._last = now
        return self._total * self._unit


class Energy:
    """Counts from now on.

    Args:
        gpus: Numbers of the GPUs that the job computes on, as torch counts them.
    """

    def __init__(self, gpus: Sequence[int] = ()) -> None:
        self._gpu, self._cpu = _of_gpus(gpus), _of_processors()
        self._lock = threading.Lock()
        if self._cpu:
            threading.Thread(target=self._look_on, daemon=True).start()

    def read(self) -> Joules:
        """What was used so far."""
        with self._lock:
            return Joules(_sum(self._gpu), _sum(self._cpu))

    def _look_on(self) -> None:
        while True:
            threading.Event().wait(EVERY)
            self.read()


def _sum(counters: Sequence[_Counter]) -> float | None:
    try:
        return sum(counter.joules() for counter in counters) if counters else None
    except Exception as error:  # of the kernel or the driver: no reason to lose an evaluation
        log.debug("a counter of energy cannot be read any more: %s", error)
        return None


def _of_processors() -> list[_Counter]:
    """Each processor as a whole, not the parts that it names, which are in it."""
    found = []
    for folder in sorted(POWERCAP.glob("intel-rapl:*")):
        try:
            if re.fullmatch(r"intel-rapl:\d+", folder.name) and (folder / "name").read_text().startswith("package"):
                most, file = _number(folder / "max_energy_range_uj"), folder / "energy_uj"
                found.append(_Counter(partial(_number, file), 1e-6, most))
        except (OSError, ValueError):  # mostly readable for root alone
            return []
    return found


def _number(file: Path) -> int:
    return int(file.read_text())


def _of_gpus(gpus: Sequence[int]) -> list[_Counter]:
    if not gpus:
        return []
    try:
        import torch

        pynvml = importlib.import_module("pynvml")
        pynvml.nvmlInit()
        found = []
        for number in gpus:
            uuid = str(torch.cuda.get_device_properties(number).uuid)
            handle = pynvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")
            found.append(_Counter(partial(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle), 1e-3))
        return found
    except Exception as error:  # no package, no driver, an older GPU: NVML has an error for each
        log.info("the energy of the GPUs is not measured: %s", error)
        return []
