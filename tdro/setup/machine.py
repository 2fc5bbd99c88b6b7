"""What this machine has: Python, libraries, processors, GPUs, memory, disk, SLURM."""

import resource
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from packaging.requirements import Requirement
from packaging.version import Version

import tdro
from tdro.errors import UserError
from tdro.forecast.machine import Machine
from tdro.formats import listed
from tdro.pipeline import slurmqueue
from tdro.pipeline.killed import explain_lock, explain_orphans, is_locked, orphans
from tdro.readers.packages import cache_folder
from tdro.setup.findings import Finding, too_much

#: Python that the project asks for, and the newest that it was run with.
OLDEST, KNOWN = (3, 11), (3, 11)
_FAISS = ("faiss-cpu", "faiss-gpu-cu12", "faiss-gpu")
_GB = 1e9
# Processes that make batches hand them over in shared memory; files of datasets, shards and sockets are open at once.
_SHARED, _FILES = 1 * _GB, 1024
_CGROUP = Path("/sys/fs/cgroup/memory.max")


def versions(root: Path) -> Iterator[Finding]:
    """Python and the libraries, against those that the project in ``root`` was tested with."""
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST:
        yield Finding("Python", "fail", python, "make an environment with Python 3.11 (`make .venv/installed`)")
    elif sys.version_info[:2] > KNOWN:
        yield Finding("Python", "warn", f"{python}; tests ran with 3.11", "where a library fails, take 3.11")
    else:
        yield Finding("Python", "ok", python)
    yield _libraries(root)
    found = [name for name in _FAISS if _version(name)]
    if not found:
        yield Finding("faiss", "fail", "not installed", "pip install -e '.[cpu]', or '.[gpu]' on a machine with GPUs")
    else:
        yield Finding("faiss", "ok", f"{found[0]} {_version(found[0])}")


def _libraries(root: Path) -> Finding:
    """The libraries that the package pins: missing, older or newer ones."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = [Requirement(line) for line in project["dependencies"]]
    missing = [pin.name for pin in pinned if not _version(pin.name)]
    if missing:
        return Finding("libraries", "fail", f"{listed(missing)} not installed", "pip install -e '.[cpu]'")
    other = [pin for pin in pinned if not pin.specifier.contains(Version(_version(pin.name)).public, prereleases=True)]
    if other:
        said = "; ".join(f"{pin.name} {_version(pin.name)}, tested with {str(pin.specifier)[2:]}" for pin in other)
        return Finding("libraries", "warn", said, "pip install -e '.[cpu]' installs the tested ones")
    return Finding("libraries", "ok", f"tdro {tdro.__version__}, {len(pinned)} libraries, all of the tested versions")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def processors(machine: Machine) -> Iterator[Finding]:
    """Cores and GPUs."""
    yield Finding("processor", "ok", f"{machine.cores} cores of {machine.processor}")
    if not machine.gpus and not Path("/dev/kfd").exists():
        yield Finding("GPU", "ok", "none; all is computed on the processor")
        return
    driver = f"{len(machine.gpus)} x {machine.gpus[0]}" if machine.gpus else "AMD"
    said, gpus = _of_torch()
    if not gpus:
        yield Finding(
            *("GPU", "fail", f"{driver} by the driver, but torch sees none ({said})"),
            "install the torch of this driver (pytorch.org), or take `accelerate: cpu` for all models",
        )
    elif machine.gpus and gpus < len(machine.gpus):
        yield Finding("GPU", "warn", f"torch sees {gpus} of {driver}", "see CUDA_VISIBLE_DEVICES")
    else:
        yield Finding("GPU", "ok", f"{driver}, {said}")


def _of_torch() -> tuple[str, int]:
    """What torch is built for, and how many GPUs it sees; asked in a process of its own, as a driver may end it."""
    script = (
        "import torch; print(torch.__version__, torch.version.cuda or torch.version.hip, torch.cuda.device_count())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["torch cannot be loaded"])[-1], 0
    torch, built_for, number = done.stdout.split()
    return f"torch {torch}, CUDA {built_for}", int(number)


def memory(needed: float = 0) -> Iterator[Finding]:
    """Memory of the machine or its container, against what the largest job needs, in bytes; shared memory."""
    total = _memory()
    free = min(psutil.virtual_memory().available, total)
    said = f"{free / _GB:.1f} GB free of {total / _GB:.1f}"
    said += f"; the largest job needs about {needed / _GB:.1f} (by arithmetic)" if needed else ""
    if needed > total:
        smaller = "a machine with more, or smaller `encoding.batch_size` and `mini_batch_tokens`"
        yield Finding("memory", too_much(needed, total), said, smaller)
    elif needed > free:
        yield Finding("memory", "warn", said, "end other programs")
    else:
        yield Finding("memory", "ok", said)
    shared = _room(Path("/dev/shm"))
    if shared is not None and shared < _SHARED:
        yield Finding(
            *("shared memory", "warn", f"{shared / 1e6:.0f} MB free in /dev/shm; trainings hand batches over there"),
            "docker run --shm-size 2g",
        )
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files != resource.RLIM_INFINITY and files < _FILES:
        yield Finding("open files", "warn", f"at most {files}", f"ulimit -n {4 * _FILES}")


def _memory() -> float:
    """Bytes that this process may use: of a container its limit."""
    total = psutil.virtual_memory().total
    try:
        return min(total, int(_CGROUP.read_text()))
    except (OSError, ValueError):  # no container, or one without a limit
        return total


def disks(results: Path, needed: float = 0) -> Iterator[Finding]:
    """The disks of results and of downloads: room, in bytes, and whether they can be written."""
    places = {"disk of results": (results, needed), "disk of the cache": (cache_folder(), 0.0)}
    if (hub := _hub_cache()) not in (None, cache_folder()):
        places["disk of the hub's cache"] = (hub, 0.0)
    for subject, (folder, wanted) in places.items():
        place = _existing(folder)
        free = _room(place) or 0
        said = f"{free / _GB:.1f} GB free at {folder}"
        if not _can_write(place):
            yield Finding(subject, "fail", f"{folder} cannot be written by you", _ELSEWHERE[subject])
        elif wanted > free:
            yield Finding(subject, "fail", f"{said}; a run needs about {wanted / _GB:.1f}", _ELSEWHERE[subject])
        elif 1.5 * wanted > free:
            yield Finding(subject, "warn", f"{said}; a run needs about {wanted / _GB:.1f}", _ELSEWHERE[subject])
        else:
            yield Finding(subject, "ok", f"{said}; a run needs about {wanted / _GB:.1f}" if wanted else said)


_ELSEWHERE = {
    "disk of results": "another folder: `--directory FOLDER`",
    "disk of the cache": "another folder: `export TDRO_CACHE=FOLDER`",
    "disk of the hub's cache": "another folder: `export HF_HOME=FOLDER`",
}


def _hub_cache() -> Path | None:
    try:
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        return None
    return Path(HF_HUB_CACHE)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that there is."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def _room(folder: Path) -> float | None:
    """Bytes that are free there; None where there is no such folder."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _can_write(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def cluster(folder: Path) -> Iterator[Finding]:
    """SLURM, as far as there is any."""
    if slurmqueue.missing() == list(slurmqueue.PROGRAMS):
        yield Finding("SLURM", "ok", "none; jobs run on this machine")
        return
    try:
        left = slurmqueue.jobs_of(folder)
    except UserError as error:
        yield Finding("SLURM", "warn", str(error), "only a run with `--profile slurm` needs it")
        return
    if left:
        yield Finding(
            "SLURM", "warn", f"has jobs of this folder: {', '.join(left)}", "wait, or cancel them with scancel"
        )
    else:
        yield Finding("SLURM", "ok", "answers")


def earlier_runs(folder: Path) -> Iterator[Finding]:
    """What a killed run has left behind in the folder."""
    if is_locked(folder):
        yield Finding("lock", "fail", "a run has locked this folder", explain_lock(folder, ["snakemake", "..."]))
    elif found := orphans(folder):
        yield Finding("jobs", "fail", "jobs of a killed run go on", explain_orphans(folder, found))
