# Everything the rules share: the validated configuration, paths, and how a job is launched.
import re
import sys
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError

from tdro import mixtures
from tdro.errors import UserError
from tdro.jobs import Jobs
from tdro.layout import Layout
from tdro.sources.files import local_files

ROOT = Path(workflow.current_basedir).parent.parent

# The C library keeps large blocks instead of handing them back after every training step (measured on
# two cores: a step of the demo takes a fifth less time).
KEEP_MEMORY = "MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000"

# A training gains little from more threads than these; on more cores, two run side by side.
TRAINING_THREADS = 4

# Jobs find the package and the programs of the environment that Snakemake runs in, activated or not; in
# a conda environment the package alone is added. What stands here is no reason to run a job again. A
# prefix of ours takes the place of Snakemake's strict mode, which must hold: every command is piped.
EXPORTS = f"export TDRO_ROOT={quote(str(ROOT))} PYTHONPATH={quote(str(ROOT))}${{{{PYTHONPATH:+:$PYTHONPATH}}}}"
if "conda" not in str(workflow.deployment_settings.deployment_method).lower():
    EXPORTS = f"{EXPORTS} PATH={quote(str(Path(sys.executable).parent))}:$PATH"
# Only `fetch` may ask the hub; every other rule finds what it fetched through the manifest.
OFFLINE = "HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 TRANSFORMERS_OFFLINE=1"
ONLINE = OFFLINE.replace("=1", "=0")
EXPORTS = f"{EXPORTS} {OFFLINE}"
shell.prefix(f"set -euo pipefail; {EXPORTS}; ")


# Launch configuration of a command that only runs a model forwards. Chosen by the shell, so that a profile's GPUs are
# no reason to run a job again.
INFERENCE_LAUNCH = "$( [ {resources.gpu} -gt 0 ] && echo ddp || echo cpu )"


def launch(command, configuration="{params.accelerate}"):
    """A command under accelerate: one launcher a job, which starts the processes, one a GPU."""
    return (
        "processes=$(( {resources.gpu} > 1 ? {resources.gpu} : 1 ));"
        " threads=$(( ({threads} + processes - 1) / processes ));"
        f" {KEEP_MEMORY} accelerate launch --quiet"
        f' --config_file "$TDRO_ROOT/config/accelerate/{configuration}.yaml"'
        " --num_processes $processes --num_cpu_threads_per_process $threads"
        f" -m tdro {command} --threads $threads 2>&1 | tee {{log}}"
    )


try:
    JOBS = Jobs.read(config, ROOT)
except UserError as error:
    raise WorkflowError(str(error)) from None
PATHS = Layout("results")
REPORT = PATHS.report

# What hard negatives are selected from.
CANDIDATES = "rescored.parquet" if JOBS.config.mining.rescore else "candidates.parquet"


wildcard_constraints:
    task="|".join(JOBS.tasks),
    benchmark="|".join(JOBS.config.benchmarks),
    model="|".join(m.name for m in JOBS.config.models),
    mixture=mixtures.NAMES,
    seed=r"\d+",
    fetched="|".join(map(re.escape, JOBS.fetches())) or "nothing",


def settings(job):
    """A job's settings as text: what its command reads, and what Snakemake compares with the last run."""
    return job.model_dump_json()


def accelerate_config(wildcards):
    """Name of the launch configuration of a model."""
    return JOBS.model(wildcards.model).accelerate


def local_data(name):
    """Files that a dataset is read from, where they are local: a change of them prepares it anew."""
    source = {**JOBS.tasks, **JOBS.benchmarks}[name].source
    return [] if source.hub else local_files(source.path)


def manifest(job):
    """The manifest that a job reads what was fetched through; nothing where all is local."""
    return PATHS.fetched(job.key) if job else []


def fetched_option(wildcards, input):
    """The manifest as a command takes it."""
    return f"--fetched {input.fetched}" if input.fetched else ""


def train_files(wildcards):
    """Training rows of every task."""
    return [PATHS.task(task, "train.parquet") for task in JOBS.tasks]


def task_texts(wildcards):
    """Corpus and queries of every task."""
    return [
        PATHS.task(task, file)
        for task in JOBS.tasks
        for file in ("corpus.parquet", "queries.parquet")
    ]


def negatives(wildcards):
    """The mined negatives of a task; nothing where its source provides them."""
    return (
        PATHS.task(wildcards.task, "negatives.parquet")
        if JOBS.tasks[wildcards.task].negatives == "mined"
        else []
    )


def evaluation_queries(wildcards=None):
    """Queries of every dataset that is evaluated on, by name."""
    return {
        name: f"{PATHS.dataset(benchmark, name)}/queries.parquet"
        for benchmark in JOBS.config.benchmarks
        for name in JOBS.datasets(benchmark)
    }


def benchmark_files(wildcards):
    """Corpus and queries of every dataset of a benchmark."""
    folders = [
        PATHS.dataset(wildcards.benchmark, name)
        for name in JOBS.datasets(wildcards.benchmark)
    ]
    return [
        f"{folder}/{file}"
        for folder in folders
        for file in ("corpus.parquet", "queries.parquet")
    ]


def mixture_weights(wildcards):
    """Weights that a retriever is trained on: its own uniform ones, or those the proxy has learnt."""
    model = wildcards.model if wildcards.mixture == "uniform" else JOBS.config.proxy
    return PATHS.weights(model, wildcards.seed, wildcards.mixture)


def mixture_source(wildcards):
    """What a mixture is derived from: the course of tDRO, or just the sizes that the uniform weights list."""
    model, seed = wildcards.model, wildcards.seed
    if mixtures.parse(wildcards.mixture).learnt:
        return PATHS.run(model, seed, "tdro/trajectory.parquet")
    return PATHS.weights(model, seed, "uniform")


def mixture_rows(wildcards):
    """Rows of a training, for the mixture that depends on them."""
    return (
        f"--rows {JOBS.training_rows}"
        if mixtures.parse(wildcards.mixture).kind == "unimax"
        else ""
    )


def report_inputs(wildcards):
    """Everything the report reads."""
    c = JOBS.config
    runs = [(m.name, seed) for m in c.models for seed in c.seeds]
    files = [
        file(model, seed, mixture, benchmark)
        for model, seed in runs
        for mixture in c.mixtures
        for benchmark in c.benchmarks
        for file in (PATHS.scores, PATHS.query_scores)
    ]
    files += [
        PATHS.weights(c.proxy, seed, mixture)
        for seed in c.seeds
        for mixture in c.mixtures
    ]
    if JOBS.learns:
        files += [
            PATHS.run(c.proxy, seed, "tdro/trajectory.parquet") for seed in c.seeds
        ]
    return files + [
        PATHS.task(task, f)
        for task in JOBS.tasks
        for f in ("train.parquet", "duplicates.parquet")
    ]
