"""Another program takes over until its end."""

import os
import subprocess

from tdro.cli.stops import left_to


def run(line: list[str], variables: dict[str, str] | None = None) -> int:
    """Run a command line, and give its status.

    Ctrl-C reaches the program, too, which needs time for it: Snakemake ends its jobs and tells what is kept. So this
    process waits, where :func:`subprocess.run` would kill it after a quarter of a second.

    Args:
        line: The program and its arguments.
        variables: Environment variables that it gets beside those of this process.
    """
    started: list[subprocess.Popen] = []
    with left_to(started):
        started.append(subprocess.Popen(line, env=os.environ | (variables or {})))
        return started[0].wait()
