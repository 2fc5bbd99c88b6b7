"""Single jobs of the undisturbed run: what they have made, its taking away, and their commands once more."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from leftovers import UNEQUAL
from records import ended
from running import ROOT

_OFFLINE = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"), "1")


def job_of(whole, file):
    """The job of a file."""
    return next(job for job in ended(whole).values() if file in job.outputs)


def remove(job, folder):
    """Take the outputs of a job away, as Snakemake does before it runs one."""
    for output in job.outputs:
        path = folder / output
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def files(job, folder):
    """All that a job has made."""
    paths = [folder / output for output in job.outputs]
    return [file for path in paths for file in (path, *path.rglob("*")) if file.is_file()]


def content(job, folder):
    """Bytes of each file that a job has made, but for those in UNEQUAL, and empty ones: marks of Snakemake."""
    named = {str(file.relative_to(folder / "results")): file for file in files(job, folder)}
    return {name: data for name, file in named.items() if name not in UNEQUAL and (data := file.read_bytes())}


class Stage:
    """The command of a job, as its rule has run it, without Snakemake around it.

    Args:
        job: Of the undisturbed run.
        folder: With its inputs.
    """

    def __init__(self, job, folder):
        self.job, self.folder = job, folder

    def run(self, python=sys.executable, variables=None, path=None):
        """Its status, and what it has said on its shell and in its log.

        Args:
            python: Runs it.
            variables: Further ones of its environment.
            path: A folder of modules before all others.
        """
        log = self.folder / self.job.logs[0]
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        programs = os.pathsep.join([str(Path(python).parent), str(Path(sys.executable).parent), os.environ["PATH"]])
        modules = os.pathsep.join([*([str(path)] if path else []), str(ROOT)])
        own = {"TDRO_ROOT": str(ROOT), "PYTHONPATH": modules, "PATH": programs, "TDRO_VERSIONS": "results/.versions"}
        line = ["bash", "-c", f"set -euo pipefail; {self.job.command}"]
        result = subprocess.run(
            line, cwd=self.folder, capture_output=True, text=True, env=os.environ | _OFFLINE | own | (variables or {})
        )
        return result.returncode, result.stderr + (log.read_text() if log.exists() else "")


def limited(folder, limit):
    """A Python under a limit of the system, which `prlimit` sets, such as `--fsize=4096`; what it says goes through a
    pipe, as a log is a file, too.

    Returns:
        Its path.
    """
    folder.mkdir()
    python = folder / "python"
    command = shlex.join(["prlimit", limit, sys.executable])
    python.write_text(f'#!/bin/bash\n{command} "$@" 2>&1 | cat\nexit "${{PIPESTATUS[0]}}"\n')
    python.chmod(0o755)
    return python
