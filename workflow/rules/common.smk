# Everything the rules share: the validated configuration, paths, and how a job is launched.
import json
import os
import re
import sys
from pathlib import Path
from shlex import quote

from tdro.artifacts.filestates import nameable, state
from tdro.artifacts.layout import ROW_FORMS, TEXTS, Layout, sampled
from tdro.config import mixturenames
from tdro.pipeline import experts, start, threads
from tdro.pipeline.refused import Refused, refusing

ROOT = Path(workflow.current_basedir).parent.parent
with refusing():
    start.check_place(ROOT)

PATHS = Layout("results")

# Not `workflow.cores`, which refuses every command that runs no job (`--unlock`, `--summary`, `--dag`) when it is given
# no `--cores`.
CORES = workflow.resource_settings.cores or os.cpu_count()
TRAINING_THREADS = threads.TRAINING
ENCODING_THREADS = threads.encoding(CORES)

# Jobs find the package and the programs of the environment that Snakemake runs in, activated or not; in
# a conda environment the package alone is added. What stands here is no reason to run a job again. A
# prefix of ours takes the place of Snakemake's strict mode, which must hold: a command has several parts.
EXPORTS = f"export TDRO_ROOT={quote(str(ROOT))} PYTHONPATH={quote(str(ROOT))}${{{{PYTHONPATH:+:$PYTHONPATH}}}}"
OWN_PYTHON = "conda" not in str(workflow.deployment_settings.deployment_method).lower()
if OWN_PYTHON:
    EXPORTS = f"{EXPORTS} PATH={quote(str(Path(sys.executable).parent))}:$PATH"
# Only `fetch` may ask the hub; every other rule finds what it fetched through the manifest.
OFFLINE = "HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 TRANSFORMERS_OFFLINE=1"
ONLINE = OFFLINE.replace("=1", "=0")
EXPORTS = f"{EXPORTS} {OFFLINE} TDRO_VERSIONS={quote(PATHS.versions)}"
shell.prefix(f"set -euo pipefail; {EXPORTS}; ")


# Settings go through a file beside the log: a single argument holds 128 KB, and the instructions of many tasks are longer.
# `printf` is a word of the shell itself, for which that limit does not hold.
WRITE_SETTINGS = "printf '%s\\n' {params.settings:q} >{log}.settings.json; "
READ_SETTINGS = " --settings @{log}.settings.json"


def stage(command, *, settings=True, variables=""):
    """A command of an ordinary rule: it reads `params.settings`, where the rule has them, and prints to the log alone, whose end
    the screen shows (tdro.pipeline.screen).

    Variables of its own stand before it, as in a shell.
    """
    write, read = (WRITE_SETTINGS, READ_SETTINGS) if settings else ("", "")
    return f"{write}{variables} python -m tdro {command} --threads {{threads}}{read} >{{log}} 2>&1"


def launch(command, configuration="{params.accelerate}"):
    """A command of a distributed rule: one launcher a node of the job, one process a GPU (scripts/launch.sh).

    The rule has the resources `nodes` and `gpu` (of all nodes together). How many GPUs the job has is decided inside of
    it (tdro.cli.launch), where those count that were asked for by `gres`, too. The shell becomes the script, which outlives
    a SIGTERM for as long as the training needs to end.
    """
    return (
        WRITE_SETTINGS
        + 'exec bash "$TDRO_ROOT/workflow/scripts/launch.sh" {log} {resources.nodes} {resources.gpu} {threads}'
        f" {configuration} {command}{READ_SETTINGS}"
    )


with refusing():
    JOBS = start.read(config, ROOT, workflow.configfiles)
TESTS, REPORT = JOBS.tests, PATHS.report
# What is fetched, by the name of its manifest.
FETCHED = {job.key: job for job in JOBS.fetches.values() if job}

# What hard negatives are selected from.
CANDIDATES = "rescored.parquet" if JOBS.config.mining.rescore else "candidates.parquet"


def one_of(names):
    """A pattern of these names and no other, which matches nothing when there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


# Whether one job does for all tasks, or all benchmarks of a retriever, what else is a job each.
ONE = JOBS.config.jobs == "one"
# What a job encodes or evaluates, in its outputs: Snakemake's wildcard stands for one.
ENCODED = JOBS.mined if ONE else ["{task}"]
EVALUATED = sorted(TESTS.evaluated) if ONE else ["{dataset}"]


wildcard_constraints:
    task=one_of(JOBS.tasks),
    benchmark=one_of(TESTS.of_rows),
    corpus=one_of(set(TESTS.corpora) - set(TESTS.of_rows)),
    dataset=one_of(TESTS.evaluated),
    chosen_on=one_of(TESTS.dev),
    untrained=one_of(JOBS.untrained),
    searched=one_of(TESTS.searched),
    sampled=one_of(TESTS.sampled),
    part=r"\d+of\d+",
    retriever=one_of(f"untrained/{name}" for name in JOBS.untrained)
    + f"|({'|'.join(re.escape(m.name) for m in JOBS.config.models)})/seed\\d+/({mixturenames.NAMES})",
    model="|".join(m.name for m in JOBS.config.models),
    mixture=mixturenames.ALL,
    course=one_of(JOBS.courses),
    seed=r"\d+",
    fetched=one_of(FETCHED),


def settings(job):
    """Parameters of a rule: the settings that its command reads, and those of them that Snakemake compares with the last run.

    Snakemake compares no parameter that is made of a job's threads. So a key that changes no result, such as how often a
    training writes checkpoints (`Unwatched` in tdro/config), reaches the command and reruns nothing.

    Args:
        job: The settings, or a function that makes them of the wildcards.
    """
    make = job if callable(job) else lambda wildcards: job
    last = None, None

    def made(wildcards):
        """Of one job both are asked for at once; with thousands of jobs, to make them twice is seconds."""
        nonlocal last
        if last[0] != (names := dict(wildcards.items())):
            last = names, make(wildcards)
        return last[1]

    return {
        "settings": lambda wildcards, threads: made(wildcards).model_dump_json(),
        "watched": lambda wildcards: json.dumps(made(wildcards).watched()),
    }


def accelerate_config(wildcards, threads):
    """Name of the launch configuration of a model; takes the threads to be no reason to rerun, as `settings` does."""
    return JOBS.model(wildcards.model).accelerate


def inference_config(wildcards, threads):
    """The same of a command that only reads texts with a retriever."""
    return JOBS.inference_launch(wildcards.get("model"), wildcards.get("untrained"))


def device_variables(wildcards, threads):
    """What a command without a launcher finds in its environment of it."""
    cpu = inference_config(wildcards, threads) == "cpu"
    return "ACCELERATE_USE_CPU=true" if cpu else ""


def states(files):
    """A parameter that says in which state a job's local files are.

    Snakemake runs a job again when an input is newer than its output; a file that takes the place of another is often
    older (`mv`, `cp -p`, `rsync -a`, `tar`).
    """
    return lambda wildcards: state(files(wildcards))


def inputs(files):
    """A job's local files as its inputs, but those whose names Snakemake cannot take; `states` sees all of them."""
    return lambda wildcards: nameable(files(wildcards))
