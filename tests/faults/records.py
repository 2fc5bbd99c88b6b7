"""What Snakemake has noted of the jobs of a folder: those that have ended, and those under way."""

import contextlib
import json
from base64 import urlsafe_b64decode
from typing import NamedTuple


class Job(NamedTuple):
    """A job that has ended.

    Attributes:
        rule: Its rule.
        inputs: Files that it has read.
        outputs: Its files and folders.
        logs: Its logs.
        command: What its shell ran; None of a rule without a command.
        begin: Seconds since 1970.
        seconds: How long it took.
    """

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    logs: tuple[str, ...]
    command: str | None
    begin: float
    seconds: float


def under_way(folder, since=0.0):
    """Outputs of jobs that have begun, not before ``since`` (seconds since 1970), and have not ended."""
    return {output for output, path in _notes(folder / ".snakemake/incomplete").items() if _time(path) >= since}


def _time(path):
    with contextlib.suppress(FileNotFoundError):  # the job has just ended
        return path.stat().st_mtime
    return -1.0


def ended(folder):
    """The jobs that have ended, by the first of their outputs in the order of names."""
    together = {}
    for output, path in _notes(folder / ".snakemake/metadata").items():
        try:
            record = json.loads(path.read_text())
        except json.JSONDecodeError:  # a kill came as Snakemake wrote it; Snakemake passes over it, too
            continue
        together.setdefault((record["rule"], *(record["log"] or [output])), {})[output] = record
    jobs = []
    for records in together.values():
        record = next(iter(records.values()))
        begin = min(one["starttime"] for one in records.values())
        end = max(one["endtime"] for one in records.values())
        inputs, outputs, logs = tuple(record["input"]), tuple(sorted(records)), tuple(record["log"])
        jobs.append(Job(record["rule"], inputs, outputs, logs, record["shellcmd"], begin, end - begin))
    unfinished = under_way(folder)
    return {job.outputs[0]: job for job in jobs if not unfinished & set(job.outputs)}


def _notes(folder):
    """Files of notes by the output that each is about."""
    if not folder.is_dir():
        return {}
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != "migration_underway"]
    return {_name(file.relative_to(folder)): file for file in files}


def _name(path):
    encoded = "".join(part.removeprefix("@") for part in path.parts)
    return urlsafe_b64decode(encoded).decode()
