"""A run in a process group of its own, as a terminal starts it, so that all of it can be killed at once."""

import os
import signal
import subprocess
import time

import psutil
from running import ROOT, command, environment


class Group:
    """Snakemake in a folder, and all that it starts.

    Args:
        folder: With `config.yaml`.
        arguments: Further ones of Snakemake.
        variables: Further ones of its environment.
        output: Name of the file that gets what it prints.
    """

    def __init__(self, folder, *arguments, variables=None, output="run.txt"):
        self.output = folder / output
        line = command(folder, *arguments)
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                line, cwd=folder, stdout=out, stderr=out, start_new_session=True,
                env=environment(folder) | {"PYTHONPATH": str(ROOT)} | (variables or {}),
            )  # fmt: skip

    @property
    def said(self):
        """What it has printed so far."""
        return self.output.read_text()

    @property
    def runs(self):
        """Whether its first process goes on."""
        return self.process.poll() is None

    def until(self, seen, pause=0.02):
        """Wait until something is true; the run must not end before."""
        while not seen():
            assert self.runs, f"it ended before:\n{self.said}"
            time.sleep(pause)

    def members(self):
        """Processes of the group and those that they have started, which may have left it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def signal(self, number):
        """Send all of the group a signal, as a terminal does."""
        os.killpg(self.process.pid, number)

    def kill(self):
        """End all of it at once, as a machine that fails does."""
        members = self.members()
        self.signal(signal.SIGKILL)
        self.process.wait()
        psutil.wait_procs(members, timeout=30)

    def end(self, seconds=120):
        """Wait for its end; its status."""
        return self.process.wait(seconds)
