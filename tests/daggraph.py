"""The files of a DAG: ``python daggraph.py SNAKEFILE FOLDER TARGET ...`` prints rule, inputs and outputs of each job.

A program of its own: Snakemake reads its files once a process.
"""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from running import ROOT, environment


class Job(NamedTuple):
    """A job of the DAG, with its files relative to the folder."""

    rule: str
    inputs: list[str]
    outputs: list[str]


def jobs(folder, *targets) -> list[Job]:
    """Every job that makes some targets of ``folder/config.yaml``, as if nothing had been made."""
    line = [sys.executable, __file__, str(ROOT / "Snakefile"), str(folder), *targets]
    variables = environment(folder) | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run(line, capture_output=True, text=True, cwd=folder, env=variables)
    assert done.returncode == 0, done.stderr
    return [Job(*job) for job in json.loads(done.stdout)]


def reached(found: list[Job], starts, without=()) -> set[str]:
    """Files that depend on some of ``starts``, by jobs of other rules than ``without``; the starts among them."""
    known, before = set(starts), -1
    while len(known) > before:
        before = len(known)
        for job in found:
            if job.rule not in without and known.intersection(job.inputs):
                known.update(job.outputs)
    return known


def _main(snakefile, folder, *targets):
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import ConfigSettings, DAGSettings, ResourceSettings

    with contextlib.redirect_stdout(io.StringIO()), SnakemakeApi() as api:
        read = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[Path(folder, "config.yaml")]),
            snakefile=Path(snakefile),
            workdir=Path(folder),
        )
        read.dag(DAGSettings(targets=frozenset(targets), forceall=True)).printd3dag()
        made = [[job.rule.name, [*map(str, job.input)], [*map(str, job.output)]] for job in read._workflow.dag.jobs]
    print(json.dumps(made))


if __name__ == "__main__":
    _main(*sys.argv[1:])
