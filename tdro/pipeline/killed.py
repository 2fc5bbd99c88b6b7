"""What a run leaves behind when it is killed hard: Snakemake's lock, and jobs that go on without it.

The workflow asks before it starts, on one machine; on a cluster SLURM knows the jobs. A run that is stopped in order
tells its jobs to end.
"""

import contextlib
import os
import shlex
import shutil
import sys
import threading
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import psutil

#: Set for every job of the workflow, and for nothing else.
MARK = "TDRO_ROOT"

_LOCKS = Path(".snakemake", "locks")


def is_locked(folder: Path) -> bool:
    """Whether Snakemake has locked a working folder; an unlocked one has no such files."""
    locks = folder / _LOCKS
    return locks.is_dir() and any(locks.iterdir())


def unlock(folder: Path) -> None:
    """Take the lock away."""
    shutil.rmtree(folder / _LOCKS, ignore_errors=True)


def runs(folder: Path) -> list[psutil.Process]:
    """Snakemake processes of this machine that work in ``folder``, but for this one.

    Where another user has locked the folder, each of that user's counts: their folders cannot be seen.
    """
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = [process for process in psutil.process_iter() if process.pid not in mine and _is_snakemake(process)]
    return [process for process in found if _works_in(process, folder) or _is_locker(process, folder)]


def orphans(folder: Path) -> list[psutil.Process]:
    """Jobs that work in ``folder`` though the Snakemake that started them is gone."""
    found = [p for p in psutil.process_iter() if _works_in(p, folder) and _is_job(p)]
    return [process for process in found if not any(map(_is_snakemake, process.parents()))]


def tell_jobs(ended: threading.Event) -> None:
    """Send SIGTERM to each job of this process, once, also to those that are just starting, until all have ended.

    Ctrl-C on a terminal has reached them by itself; to be told again changes nothing for them.
    """
    told: set[psutil.Process] = set()
    while not ended.is_set():
        for job in {p for p in psutil.Process().children(recursive=True) if _is_job(p)} - told:
            with contextlib.suppress(psutil.Error):
                job.terminate()
            told.add(job)
        ended.wait(0.2)


def explain_lock(folder: Path, arguments: Sequence[str] = tuple(sys.argv)) -> str:
    """Why a locked folder is locked, and what to type."""
    if found := runs(folder):
        return f"{folder} is locked: a run still goes on there ({_named(found)}). Wait until it has ended."
    if found := orphans(folder):
        return explain_orphans(folder, found)
    program = "snakemake" if arguments[0].endswith("__main__.py") else arguments[0]
    command = shlex.join([program, "--unlock", *arguments[1:]])
    return (
        f"{folder} is still locked by a run that was killed; no process of this machine works in it any more. Type\n"
        f"    {command}\nand then the same command as now, which goes on with what is there."
    )


def explain_orphans(folder: Path, found: Sequence[psutil.Process]) -> str:
    """What to do about jobs of a killed run that go on."""
    numbers = " ".join(str(process.pid) for process in found)
    return (
        f"a run in {folder} was killed, but jobs of it go on ({_named(found)}). Wait until they have ended, or end "
        f"them (kill {numbers}); then start again."
    )


def _named(processes: Iterable[psutil.Process]) -> str:
    return ", ".join(f"process {process.pid}" for process in processes)


def _is_snakemake(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    modules = {module for option, module in pairwise(words) if option == "-m"}
    return "snakemake" in modules | {Path(word).name for word in words[:2]}


def _is_job(process: psutil.Process) -> bool:
    """Whether the workflow started it, and it is Python: the shells around it end with it."""
    try:
        return MARK in process.environ() and "python" in process.name()
    except psutil.Error:
        return False


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()).resolve() == folder.resolve()
    except (psutil.Error, OSError):
        return False


def _is_locker(process: psutil.Process, folder: Path) -> bool:
    """Whether it belongs to another user, who has locked the folder."""
    try:
        owner = (folder / _LOCKS).stat().st_uid
        return owner != os.getuid() and process.uids().real == owner
    except (psutil.Error, OSError):
        return False
