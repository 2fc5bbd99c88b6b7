"""Single jobs of the undisturbed run: what they have made, and their taking away."""

import shutil

from leftovers import OF_TIMES
from records import ended


def job_of(whole, file):
    """The job of a file."""
    return next(job for job in ended(whole).values() if file in job.outputs)


def remove(job, folder):
    """Take the outputs of a job away, as Snakemake does before it runs one."""
    for output in job.outputs:
        path = folder / output
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def content(job, folder):
    """Bytes of each file that a job has made, but for those that hold times, and for empty ones: marks of Snakemake."""
    paths = [folder / output for output in job.outputs]
    inside = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    named = {str(file.relative_to(folder / "results")): file for file in inside}
    return {name: data for name, file in named.items() if name not in OF_TIMES and (data := file.read_bytes())}
