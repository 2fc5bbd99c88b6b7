"""What a configuration will need: its files, time, disk and memory, as the forecast reckons them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tdro.artifacts.layout import Layout
from tdro.errors import UserError
from tdro.forecast.forecast import Forecast, Line, of_jobs
from tdro.forecast.machine import Machine
from tdro.forecast.rates import Asked, device
from tdro.forecast.table import spoken, total
from tdro.pipeline import start
from tdro.pipeline.jobs import Jobs
from tdro.setup.findings import Finding, too_much

# A run of that many seconds of jobs on this machine is probably not meant.
_LONG = 3 * 24 * 3600.0
_CONFIG = "configuration"


class Needs(NamedTuple):
    """What is needed of the machine: bytes of disk and of its memory."""

    disk: float
    memory: float


def read(file: Path, root: Path) -> tuple[Jobs | None, list[Finding]]:
    """The jobs of a configuration file, and what is wrong or odd with it; no jobs where it cannot be read."""
    try:
        jobs = start.read(start.values_of(file), root, [file])
    except UserError as error:
        return None, [Finding(_CONFIG, "fail", line) for line in str(error).splitlines()]
    wrong, to_come = start.unusable(jobs, root)
    found = [Finding("files", "fail", line) for line in dict.fromkeys([*wrong, *to_come])]
    found += [Finding(_CONFIG, "warn", line) for line in start.remarks(jobs, Path(Layout("results").project))]
    if found:
        return jobs, found
    number = f"{len(jobs.tasks)} tasks, {len(jobs.benchmarks)} benchmarks of its own, {len(jobs.config.models)} models"
    return jobs, [Finding(_CONFIG, "ok", f"{file}: {number}; local files can be read")]


def forecast(jobs: Jobs, root: Path, machine: Machine) -> tuple[Needs, list[Finding]]:
    """What a whole run needs on this machine, and whether it is more than sensible or than a GPU has."""
    try:
        told = of_jobs(jobs, Layout("results"), root, Asked())
    except UserError as error:
        return Needs(0, 0), [Finding("time", "warn", f"cannot be told: {error}")]
    whole = total(told)
    on_gpu = {line.model for line in told.lines if line.gpu_hours}
    of_machine = max((line.memory for line in told.lines if line.model not in on_gpu or not line.model), default=0.0)
    return Needs(whole.disk, of_machine), [_time(told, whole), *_gpu_memory(told, machine, on_gpu)]


def _time(told: Forecast, whole: Line) -> Finding:
    said = f"{whole.jobs} jobs of {spoken(told.seconds)} together on {told.device}"
    if told.seconds > _LONG:
        return Finding("time", "warn", said, "a machine with GPUs, fewer steps or tasks; by rule: `tdro forecast`")
    return Finding("time", "ok", said)


def _gpu_memory(told: Forecast, machine: Machine, on_gpu: set[str | None]) -> Iterator[Finding]:
    """Whether the largest job of a GPU fits into it; nothing where that GPU is not known."""
    gpu = device(machine.gpus[0]) if machine.gpus else None
    needed = max((line.memory for line in told.lines if line.model in on_gpu and line.model), default=0.0)
    if gpu and needed:
        said = f"{gpu.memory / 1e9:.0f} GB; the largest job needs about {needed / 1e9:.0f} (by arithmetic)"
        smaller = "split it (`accelerate`), or lower `mini_batch_tokens` or `encoding.batch_size`"
        state = too_much(needed, gpu.memory)
        yield Finding("memory of a GPU", state, said, "" if state == "ok" else smaller)
