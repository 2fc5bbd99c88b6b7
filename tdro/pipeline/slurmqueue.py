"""SLURM's queue, as a run asks it before it submits anything."""

import shutil
import subprocess
from pathlib import Path

from tdro.errors import UserError

#: Programs that a run on a cluster calls.
PROGRAMS = ("sbatch", "squeue", "sacct", "scancel")


def missing() -> list[str]:
    """Programs of SLURM that this machine lacks."""
    return [program for program in PROGRAMS if not shutil.which(program)]


def jobs_of(folder: Path) -> list[str]:
    """Numbers of your jobs that SLURM runs or will run in a folder.

    Raises:
        UserError: where there is no SLURM, or none that answers.
    """
    if lacking := missing():
        raise UserError(
            f"`--profile slurm` submits jobs to SLURM, and this machine has no `{lacking[0]}`; start the run on a "
            "login node of the cluster, or leave the profile out to run the jobs here."
        )
    listing = ["squeue", "--me", "--noheader", "--format=%A %Z"]
    try:
        done = subprocess.run(listing, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        raise UserError("SLURM does not answer: squeue says nothing for a minute; try `squeue --me`.") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise UserError(f"SLURM does not answer: squeue says {said!r}; see whether `squeue --me` works here.")
    jobs = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    return [job for job, place in jobs if Path(place) == folder]
