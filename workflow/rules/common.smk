# Everything the rules share: the validated configuration, paths, and how a job is launched.
import subprocess
import sys
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError

from tdro.errors import UserError
from tdro.jobs import Jobs
from tdro.layout import Layout

ROOT = Path(workflow.current_basedir).parent.parent

# A training gains little from more threads than these; on more cores, two run side by side.
TRAINING_THREADS = 4

# Jobs find the package and the programs of the environment that Snakemake runs in, activated or not; in
# a conda environment the package alone is added. What stands here is no reason to run a job again. A
# prefix of ours takes the place of Snakemake's strict mode, which must hold: every command is piped.
EXPORTS = f"export TDRO_ROOT={quote(str(ROOT))} PYTHONPATH={quote(str(ROOT))}${{{{PYTHONPATH:+:$PYTHONPATH}}}}"
if "conda" not in str(workflow.deployment_settings.deployment_method).lower():
    EXPORTS = f"{EXPORTS} PATH={quote(str(Path(sys.executable).parent))}:$PATH"
shell.prefix(f"set -euo pipefail; {EXPORTS}; ")


def launch(command):
    """A command of a distributed rule: one launcher a node of the job, one process a GPU (scripts/launch.sh).

    The rule has the resources `nodes` and `gpu` (of all nodes together) and the parameter `accelerate`. The
    shell becomes the script, which outlives a SIGTERM for as long as the training needs to end.
    """
    return (
        'exec bash "$TDRO_ROOT/workflow/scripts/launch.sh" {log} {resources.nodes} {resources.gpu} {threads}'
        f' "$TDRO_ROOT/config/accelerate/{{params.accelerate}}.yaml" {command}'
    )


def refuse_jobs_of_a_killed_run():
    """Start nothing while SLURM still runs jobs of this folder, which a Snakemake that was killed has left behind.

    Snakemake would submit them a second time. Left alone they end as usual, and their outputs count.
    """
    listing = ["squeue", "--me", "--noheader", "--format=%A %Z"]
    lines = subprocess.check_output(listing, text=True).splitlines()
    jobs = [line.split(maxsplit=1) for line in lines]
    left = [job for job, folder in jobs if Path(folder) == Path.cwd()]
    if left:
        raise WorkflowError(
            f"SLURM still has jobs that an earlier run in this folder has submitted: {', '.join(left)}. Wait until they"
            " have ended, which keeps their work, or cancel them with scancel; then start again."
        )


try:
    JOBS = Jobs.read(config, ROOT)
except UserError as error:
    raise WorkflowError(str(error)) from None
PATHS = Layout("results")
REPORT = PATHS.report


wildcard_constraints:
    task="|".join(JOBS.tasks),
    benchmark="|".join(JOBS.config.benchmarks),
    model="|".join(m.name for m in JOBS.config.models),
    mixture=r"uniform|curr|mean|ema|top\d+",
    seed=r"\d+",


def settings(job):
    """A job's settings as text: what its command reads, and what Snakemake compares with the last run."""
    return job.model_dump_json()


def accelerate_config(wildcards):
    """Name of the launch configuration of a model."""
    return JOBS.model(wildcards.model).accelerate


def local_data(name):
    """Files that a dataset is read from, where they are local: a change of them prepares it anew."""
    source = {**JOBS.tasks, **JOBS.benchmarks}[name].source
    path = Path(source.path or "")
    if path.is_dir():
        return sorted(map(str, [*path.glob("*.jsonl"), *path.glob("qrels/*.tsv")]))
    return [source.path] if path.is_file() else []


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
    if c.mixtures != ["uniform"]:
        files += [
            PATHS.run(c.proxy, seed, "tdro/trajectory.parquet") for seed in c.seeds
        ]
    return files + [
        PATHS.task(task, f)
        for task in JOBS.tasks
        for f in ("train.parquet", "duplicates.parquet")
    ]
