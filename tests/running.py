"""Snakemake on a folder of a test, offline."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def snakemake(folder, *arguments, check=True):
    """What a run on ``folder/config.yaml`` prints; it must succeed where ``check`` is true, else fail."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "config.yaml"), "--cores", "2", *arguments]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TDRO_CACHE": str(folder / "cache")}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    output = result.stdout + result.stderr
    assert (result.returncode == 0) == check, output
    return output
