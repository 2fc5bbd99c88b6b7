"""The ends of jobs' logs: the last line of one that goes on, what a failed one says."""

import os
import re
import signal
from pathlib import Path

# Bytes at the end of a log that are read.
_END = 1 << 15
# A disk with fewer free bytes counts as full.
_ROOM = 1 << 20
# `22:54:23 tdro.training.trainer: ` before what a logger says.
_LOGGER = re.compile(r"^\d\d:\d\d:\d\d [\w.]+: ")
_WARNING = re.compile(r"^\d\d:\d\d:\d\d [\w.]+: warning: ")
_SENTENCE = re.compile(r"^tdro [\w-]+: error: ")
# Of a command that a signal ended: Python names the signal, a shell adds 128 to its number.
_SIGNALLED = re.compile(r"died with <Signals\.(\w+)|returned non-zero exit status (1[23]\d|14\d)\b")
_SHELLS = {128 + number: number.name for number in signal.Signals}
_WHY = {
    "SIGKILL": "most often because memory ran out: docs/troubleshooting.md says what helps",
    "SIGTERM": "it was told to end",
    "SIGINT": "it was told to end",
    "SIGHUP": "its terminal was closed",
    "SIGXCPU": "its time was up",
}
# `[00:10<01:05:30, 3.1step/s]` of a training; `about 90 s left` of all that tdro.progress tells of.
_BAR = re.compile(r"<(?:(\d+):)?(\d+):(\d\d),")
_SECONDS = re.compile(r"(\d+) s left")


def last_line(log: Path) -> str:
    """What was logged last, without time and logger; empty where nothing was. Bars of libraries are not logged."""
    said = [line for line in _lines(log) if _LOGGER.match(line)]
    return _LOGGER.sub("", said[-1]) if said else ""


def time_left(line: str) -> float | None:
    """The seconds that a job itself says are left."""
    if bar := _BAR.search(line):
        hours, minutes, seconds = (int(part or 0) for part in bar.groups())
        return 3600 * hours + 60 * minutes + seconds
    return float(found[1]) if (found := _SECONDS.search(line)) else None


def warnings(log: Path, most: int = 3) -> list[str]:
    """What a finished job's log warns of, and how many warnings more there are than ``most``."""
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            found = list(dict.fromkeys(_WARNING.sub("", line.rstrip()) for line in lines if _WARNING.match(line)))
    except OSError:
        return []
    more = [f"{len(found) - most} more warnings in {log}"] if len(found) > most else []
    return found[:most] + more


def printed(log: Path) -> str:
    """What a command printed beside what it logged."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return "\n".join(line for line in text.splitlines() if not _LOGGER.match(line)).rstrip()


def complaint(log: Path, most: int = 20) -> list[str]:
    """What a failed job's log says of it: the sentence of our own commands, else its last lines."""
    lines = _lines(log)
    said = [line for line in lines if _SENTENCE.match(line)]
    return list(dict.fromkeys(said)) or lines[-most:]


def ended_by(failure: str) -> str:
    """A sentence on the signal that ended a job's command, by what Snakemake says of the command; empty without one."""
    if not (found := _SIGNALLED.search(failure)):
        return ""
    name = found[1] or _SHELLS.get(int(found[2]), "")
    return f"It was ended by {name}: {_WHY.get(name, 'a library has crashed; its log may say more')}." if name else ""


def no_room(log: Path) -> str:
    """A sentence on the disk of a log, where it is full, so that the log may not say what is wrong; else empty."""
    try:
        state = os.statvfs(log.parent)
    except OSError:
        return ""
    files = state.f_files == 0 or state.f_favail  # some file systems have as many files as there is room for
    if files and state.f_bavail * state.f_frsize >= _ROOM:
        return ""
    return f"The disk of {log.parent} is full; make room there, then start again."


def _lines(log: Path) -> list[str]:
    """The last lines that are not blank; a progress bar's states count as lines."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _END))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]
