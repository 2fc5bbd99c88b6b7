"""Where a file or folder is written before it takes its place, and what killed processes have left there.

``results/leaks.parquet`` is written as ``results/.leaks.parquet.NODE.PROCESS.tmp``. Whoever writes it again takes away
what lies under such a name and is of a process that is gone.
"""

import contextlib
import glob
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NODE = platform.node()[:32]
_END = ".tmp"
#: Seconds since the last change after which something of another node counts as left.
_LEFT = 86_400


def beside(path: Path) -> Path:
    """The name under which this process writes ``path``; nothing is there."""
    for other in begun(path):
        with contextlib.suppress(FileNotFoundError):  # another process takes it away, too
            if _is_left(other, path.name):
                remove(other)
    # Processes of two nodes may have one number.
    return path.with_name(f".{path.name}.{_NODE}.{os.getpid()}{_END}")


def begun(path: Path) -> list[Path]:
    """What lies beside ``path`` to take its place, of whatever process."""
    return list(path.parent.glob(f".{glob.escape(path.name)}.*{_END}"))


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A new folder beside ``path``, which goes at the end, however that comes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = beside(path)
    folder.mkdir()
    try:
        yield folder
    finally:
        remove(folder)


def remove(path: Path) -> None:
    """Take away a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def take_away(path: Path) -> None:
    """Remove a folder of what a killed process goes on from; a kill meanwhile leaves no part of it under its name."""
    if path.exists():
        aside = beside(path)
        path.rename(aside)
        remove(aside)


def share(folder: Path) -> None:
    """Let everybody read a folder's files who may read the folder: safetensors lets nobody but their owner."""
    rights = folder.stat().st_mode & 0o666
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.chmod(file.stat().st_mode | rights)


def to_disk(path: Path) -> None:
    """Wait until a file, or a folder with all that is in it, has left the system's memory."""
    for place in (path, *path.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # a temporary file of another process
            _sync(place)


def entry_to_disk(path: Path) -> None:
    """The same of what the folder around it says of ``path``: that it is there."""
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_left(path: Path, name: str) -> bool:
    """Whether who wrote it is gone."""
    node, _, process = path.name.removeprefix(f".{name}.").removesuffix(_END).rpartition(".")
    if node == _NODE and process.isdecimal():
        return int(process) == os.getpid() or not _lives(int(process))
    return time.time() - path.stat().st_mtime > _LEFT


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
