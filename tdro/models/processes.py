"""The processes that ``accelerate launch`` has started for a job, and the device that each computes on.

Every part that puts something on a device asks here: libraries that look for themselves would take a GPU in a job whose
launch configuration says `use_cpu`.
"""

import ctypes
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

#: How long a process waits for the others. One may be at a large checkpoint or move the shards of a corpus meanwhile; a
#: process that has died ends the job at once, through its launcher.
PATIENCE = timedelta(hours=6)


def told_cpu() -> bool:
    """Whether this job must leave GPUs alone; accelerate's launcher says so in ``ACCELERATE_USE_CPU``."""
    return os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes", "y", "on", "t")


def on_cpu() -> bool:
    """Whether this job computes on the CPU, because it is told to or because there is no GPU.

    torch says so; it is not loaded for that, a second or two, where no driver of a GPU is installed.
    """
    if told_cpu() or not ("torch" in sys.modules or _has_driver()):
        return True
    import torch

    return not torch.cuda.is_available()


def _has_driver() -> bool:
    """Whether there is what torch talks to: NVIDIA's library, or the device file of AMD's driver."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True


def device():
    """Where this process computes, a ``torch.device``."""
    import torch

    if on_cpu():
        return torch.device("cpu")
    _leave_out_cudnn()
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


@cache
def _leave_out_cudnn() -> None:
    """Keep attention off cuDNN, which torch takes first on Hopper (torch 2.11).

    It plans anew for each shape of a batch that it has not met, and texts are of ever new lengths: most of a step went
    there (docs/performance.md).
    """
    import torch

    torch.backends.cuda.enable_cudnn_sdp(False)


def loaded_once() -> bool:
    """Whether the first process of each node alone reads the weights of a base, as launch configurations of FSDP 2 say.

    They stay in the host's memory until FSDP hands out their parts, so that no GPU ever holds them all.
    """
    from transformers.integrations import is_fsdp_enabled

    processes()  # transformers does so only where the process group exists
    return is_fsdp_enabled()


def processes():
    """Rank, number and barrier (accelerate's state); one process a GPU, or on the CPU.

    Whoever asks first makes the process group: decides how the processes talk (without ``cpu`` accelerate takes a
    backend that needs GPUs), and how long they wait for one another.
    """
    from accelerate import PartialState

    return PartialState(cpu=on_cpu(), timeout=PATIENCE)


def lost(error: BaseException) -> str | None:
    """What to tell the user of an error that says that another process of the job is gone or silent; else None."""
    if not (type(error).__name__.startswith("Dist") or (isinstance(error, RuntimeError) and "gloo" in str(error))):
        return None
    return (
        f"another process of this job has ended, or has not answered for {PATIENCE.total_seconds() / 3600:g} hours; "
        "look in this log for what it said itself. Checkpoints are kept: start again."
    )


def agreed(value: Any) -> Any:
    """The main process's value, on every process; all call it."""
    from accelerate.utils import broadcast_object_list

    processes()
    return broadcast_object_list([value])[0]


def most(numbers: Sequence[int]) -> list[int]:
    """The largest of each number over all processes; all call it. Hosts ask hosts, and wait for no device."""
    import torch
    import torch.distributed

    if processes().num_processes == 1:
        return list(numbers)
    found = torch.tensor(numbers)
    torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX, group=_hosts())
    return found.tolist()


@cache
def _hosts():
    """A group of all processes that leaves devices alone."""
    import torch.distributed

    return torch.distributed.new_group(backend="gloo", timeout=PATIENCE)


def sent(values, device):
    """A tensor of the host on a device, a tensor; the host does not wait until it is there."""
    if device.type == "cuda":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
