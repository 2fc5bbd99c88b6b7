"""Snakemake on a folder of a test, offline."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def command(folder, *arguments, cores=2):
    """Snakemake on ``folder/config.yaml``; without ``cores``, as for what runs no job."""
    line = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    line += ["--configfile", str(folder / "config.yaml")]
    return [*line, *(["--cores", str(cores)] if cores else []), *arguments]


def environment(folder):
    """Its environment variables: offline, and a cache of its own."""
    return os.environ | {"HF_HUB_OFFLINE": "1", "TDRO_CACHE": str(folder / "cache")}


def snakemake(folder, *arguments, check=True, cores=2):
    """What a run prints; it must succeed where ``check`` is true, else fail."""
    line = command(folder, *arguments, cores=cores)
    result = subprocess.run(line, capture_output=True, text=True, env=environment(folder), cwd=folder)
    output = result.stdout + result.stderr
    assert (result.returncode == 0) == check, output
    return output


def rules_to_run(folder, *arguments):
    """Names of the rules that a dry run lists."""
    output = snakemake(folder, "--dry-run", *arguments)
    table = re.search(r"^job +count\n-+ +-+\n(.*?)\n\n", output, re.MULTILINE | re.DOTALL)
    names = {line.split()[0] for line in table[1].splitlines()} if table else set()
    return names - {"total", "default"}
