# Everything the rules share: the validated configuration, paths, and how a job is launched.
import functools
import os
import re
import subprocess
import sys
from pathlib import Path
from shlex import quote

import snakemake.exceptions
from snakemake.exceptions import LockException, WorkflowError
from snakemake.logging import logger

from tdro.config import mixturenames
from tdro.errors import UserError
from tdro.artifacts.filestates import nameable, state
from tdro.pipeline import start
from tdro.pipeline.killed import explain_lock, explain_orphans, orphans
from tdro.pipeline.project import claim
from tdro.artifacts.layout import Layout
from tdro.pipeline.mixedversions import warning
from tdro.models.modelfiles import model_files
from tdro.config.commands import Miner
from tdro.readers.parts import local_files
from tdro.readers.testsets.base import is_testset, open_testset

ROOT = Path(workflow.current_basedir).parent.parent

PATHS = Layout("results")

# A training gains little from more threads than these; on more cores, two run side by side.
TRAINING_THREADS = 4
# Of encoding, two jobs run side by side at least: much of a small one is start-up. Not `workflow.cores`, which refuses
# every command that runs no job (`--unlock`, `--summary`, `--dag`) when it is given no `--cores`.
CORES = workflow.resource_settings.cores or os.cpu_count()
ENCODING_THREADS = min(TRAINING_THREADS, max(1, CORES // 2))

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


class Locked(LockException):
    """What Snakemake says of a locked folder, with the command to type."""

    def __init__(self):
        WorkflowError.__init__(self, explain_lock(Path.cwd(), sys.argv))


snakemake.exceptions.LockException = Locked


def refuse_orphans():
    """Start nothing while jobs of a run that was killed go on: two trainings would write the same checkpoints."""
    if found := orphans(Path.cwd()):
        raise WorkflowError(explain_orphans(Path.cwd(), found))


def say_what_other_versions_made():
    """One line about results that another version of the code or of a library has made."""

    def rule_of(output):
        return next((r.name for r in workflow.rules if r.is_producer(output)), None)

    if workflow.is_main_process:
        line = warning(
            Path(PATHS.results), Path(PATHS.versions), rule_of, libraries=OWN_PYTHON
        )
        if line:
            logger.warning(line)


def targets_are_named():
    """Whether the command line names what to make. Snakemake itself tells it only when it has read these files."""
    from snakemake.cli import get_argument_parser

    try:
        return bool(get_argument_parser().parse_known_args(sys.argv[1:])[0].targets)
    except SystemExit:  # not Snakemake's command line
        return False


@functools.cache
def unusable():
    """Local files that cannot be used, and those that may be still to come; looked for once."""
    return start.unusable(JOBS, ROOT)


def say_what_is_odd():
    """A line on each thing that a run can go on with, but that its user should know before.

    Where all is to be made, files that cannot be used stop it here, and those still to come when it starts.
    """
    if not workflow.is_main_process:
        return
    wrong, to_come = unusable()
    if wrong and not targets_are_named():
        raise WorkflowError("\n".join(wrong))
    for line in [*start.remarks(JOBS, Path(PATHS.project)), *wrong, *to_come]:
        logger.warning(line)


def claim_results():
    """Note whose results these are; start nothing where they are another registry's, or where data are missing."""
    _, to_come = unusable()
    if to_come and not targets_are_named():
        raise WorkflowError("\n".join(to_come))
    try:
        claim(Path(PATHS.project), JOBS.registry_file, JOBS.registry)
    except UserError as error:
        raise WorkflowError(str(error)) from None


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


def see_cancelled_jobs():
    """Let the executor see that a job was cancelled by hand.

    SLURM's accounting calls its state `CANCELLED by UID`; the executor (up to 2.8.0) knows only `CANCELLED` and would
    wait for ever.
    """
    import snakemake_executor_plugin_slurm as executor

    query = executor.query_job_status

    async def first_words(command, logger):
        states, seconds = await query(command, logger)
        if states is not None:
            states = {job: state.split()[0] for job, state in states.items()}
        return states, seconds

    executor.query_job_status = first_words


try:
    JOBS = start.read(config, ROOT, workflow.configfiles)
except UserError as error:
    raise WorkflowError(str(error)) from None
TESTS, FETCHES, REPORT = JOBS.tests, JOBS.fetches, PATHS.report

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
    untrained=one_of(JOBS.untrained),
    shared=one_of(TESTS.shared_corpora),
    model="|".join(m.name for m in JOBS.config.models),
    mixture=mixturenames.NAMES,
    course=one_of(JOBS.courses),
    seed=r"\d+",
    fetched=one_of(FETCHES.all()),


def settings(job):
    """A job's settings as text: what its command reads, and what Snakemake compares with the last run."""
    return job.model_dump_json()


def accelerate_config(wildcards):
    """Name of the launch configuration of a model."""
    return JOBS.model(wildcards.model).accelerate


def inference_config(wildcards):
    """The same of a command that only reads texts with a retriever."""
    return JOBS.inference_launch(wildcards.get("model"), wildcards.get("untrained"))


def device_variables(wildcards):
    """What a command without a launcher finds in its environment of it."""
    return "ACCELERATE_USE_CPU=true" if inference_config(wildcards) == "cpu" else ""


def states(files):
    """A parameter that says in which state a job's local files are.

    Snakemake runs a job again when an input is newer than its output; a file that takes the place of another is often
    older (`mv`, `cp -p`, `rsync -a`, `tar`).
    """
    return lambda wildcards: state(files(wildcards))


def inputs(files):
    """A job's local files as its inputs, but those whose names Snakemake cannot take; `states` sees all of them."""
    return lambda wildcards: nameable(files(wildcards))


def local_data(name):
    """Files that a dataset is read from, where they are local: a change of them prepares it anew."""
    entry = JOBS.tasks[name] if name in JOBS.tasks else TESTS.corpora[name].entry
    source = entry.source
    return [] if source.hub else local_files(source.path)


def task_data(wildcards):
    """Local files of a task."""
    return local_data(wildcards.task)


def benchmark_data(wildcards):
    """Local files of a benchmark of rows."""
    return local_data(wildcards.benchmark)


def base_data(wildcards):
    """Files of a model's base that lies in a folder."""
    return model_files(JOBS.model(wildcards.model).base)


def miner_data(wildcards):
    """Files of a miner that lies in a folder."""
    return model_files(JOBS.config.mining.encode.model)


def rescorer_data(wildcards):
    """Files of a cross-encoder that lies in a folder."""
    return model_files(JOBS.config.mining.rescore.model)


def untrained_data(wildcards):
    """Files of a retriever that nothing is trained for, where it lies in a folder."""
    retriever = JOBS.untrained[wildcards.untrained]
    if retriever == "bm25":
        return []
    return model_files(
        retriever.model if isinstance(retriever, Miner) else retriever.base
    )


def dedup_data(wildcards):
    """Files of queries that are removed from the training data."""
    return JOBS.config.dedup.queries


def manifest(job):
    """The manifest that a job reads what was fetched through; nothing where all is local."""
    return PATHS.fetched(job.key) if job else []


def untrained_manifest(wildcards):
    """The manifest of a retriever that nothing is trained for."""
    return manifest(FETCHES.untrained(wildcards.untrained))


def option(name):
    """A parameter: an input as its command takes it; nothing where a job has none."""
    flag = name.replace("_", "-")
    return lambda wildcards, input: (
        f"--{flag} {getattr(input, name)}" if getattr(input, name) else ""
    )


def corpus_data(wildcards):
    """Local files of a benchmark's corpus."""
    job = JOBS.prepare_corpus(wildcards.corpus)
    return open_testset(job.source, job.part).corpus_files()


def queries_data(wildcards):
    """Local files of a query set."""
    job = JOBS.prepare_queries(wildcards.dataset)
    return open_testset(job.source, job.part).query_files()


def train_files(wildcards):
    """Training rows of every task."""
    return [PATHS.task(task, "train.parquet") for task in JOBS.tasks]


def scored_files(wildcards):
    """Training rows with a cross-encoder's scores, where a training distils."""
    return train_files(wildcards) if JOBS.config.training.distill else []


def task_texts(wildcards):
    """Corpus and queries of every task."""
    return [
        PATHS.task(task, file)
        for task in JOBS.tasks
        for file in ("corpus.parquet", "queries.parquet")
    ]


def negatives(wildcards):
    """The mined negatives of a task; nothing where its source provides them."""
    mined = wildcards.task in JOBS.mined
    return PATHS.task(wildcards.task, "negatives.parquet") if mined else []


def evaluation_files():
    """Corpus and queries of every dataset that is evaluated on, by its name."""
    return {
        name: TESTS.files(benchmark, name, PATHS)
        for benchmark in JOBS.config.benchmarks
        for name in TESTS.datasets(benchmark)
    }


def evaluation_queries():
    """The queries; another order of the benchmarks is no reason to rerun."""
    files, benchmarks = evaluation_files(), sorted(JOBS.config.benchmarks)
    names = [name for b in benchmarks for name in sorted(TESTS.datasets(b))]
    return {name: files[name][1] for name in names}


def evaluation_corpora():
    """The corpora; several datasets may share one."""
    return {name: corpus for name, (corpus, _) in evaluation_files().items()}


def of_datasets(path):
    """A path for each dataset that a job evaluates; `path` makes it of the dataset's name."""
    return [path(dataset) for dataset in EVALUATED]


def evaluated(wildcards):
    """Names of those datasets."""
    return EVALUATED if ONE else [wildcards.dataset]


def test_files(wildcards):
    """Corpora and queries of what a job evaluates."""
    benchmarks = JOBS.evaluate(evaluated(wildcards), PATHS, {}).benchmarks
    tests = [test for tests in benchmarks.values() for test in tests.values()]
    return list(dict.fromkeys(f for test in tests for f in (test.corpus, test.queries)))


def stored(wildcards):
    """Embeddings of those corpora that several test sets search, by corpus; BM25 has none."""
    if wildcards.get("untrained") == "bm25":
        return {}
    shared = [name for name in evaluated(wildcards) if TESTS.reads_shared(name)]
    corpora = dict.fromkeys(TESTS.chosen[name].corpus for name in shared)
    if "untrained" in wildcards.keys():
        return {c: PATHS.untrained_embeddings(wildcards.untrained, c) for c in corpora}
    w = wildcards
    return {c: PATHS.embeddings(w.model, w.seed, w.mixture, c) for c in corpora}


def stored_embeddings(wildcards):
    """The same as inputs."""
    return list(stored(wildcards).values())


def evaluation(wildcards):
    """Settings of an evaluation."""
    names, untrained = evaluated(wildcards), wildcards.get("untrained")
    return settings(JOBS.evaluate(names, PATHS, stored(wildcards), untrained))


def run_files(path):
    """The rankings as further outputs of an evaluation, where they are asked for."""
    kept = JOBS.config.evaluation.run_files
    return {"runs": directory(of_datasets(path))} if kept else {}


# The option that keeps them.
KEEP_RUNS = "--runs" if JOBS.config.evaluation.run_files else ""


def mixture_weights(wildcards):
    """Weights that rows are sampled by: a retriever's own uniform ones, or those the proxy has learnt."""
    own = mixturenames.parse(wildcards.mixture)
    if own.kind == "uniform" or own.reweights:
        return PATHS.weights(wildcards.model, wildcards.seed, "uniform")
    return PATHS.weights(JOBS.config.proxy, wildcards.seed, wildcards.mixture)


def tdro_weights(key):
    """Weights that tDRO's rows are sampled by (`sampling`) or that it starts from (`initial`)."""
    mixture = getattr(JOBS.config.tdro, key)
    return lambda wildcards: PATHS.weights(wildcards.model, wildcards.seed, mixture)


def loss_weights(wildcards):
    """Weights that the loss is scaled by; nothing for a mixture that is sampled."""
    if not mixturenames.parse(wildcards.mixture).reweights:
        return []
    return PATHS.weights(JOBS.config.proxy, wildcards.seed, wildcards.mixture)


def trained_with(wildcards):
    """The weights that make a retriever what it is: those of its loss, or those its rows are sampled by."""
    return loss_weights(wildcards) or mixture_weights(wildcards)


def mixture_source(wildcards):
    """What a mixture is derived from: the course of tDRO, a file, or just the sizes that the uniform weights list."""
    model, seed = wildcards.model, wildcards.seed
    mixture = mixturenames.parse(wildcards.mixture)
    if mixture.learnt:
        return PATHS.run(model, seed, f"{mixture.course}/trajectory.parquet")
    return [*mixture_data(wildcards), PATHS.weights(model, seed, "uniform")]


def mixture_data(wildcards):
    """A file of weights that a mixture is taken from."""
    mixture = mixturenames.parse(wildcards.mixture)
    return [JOBS.weights_file(mixture.name)] if mixture.kind == "file" else []


def mixture_rows(wildcards):
    """Rows of a training, for the mixture that depends on them."""
    return (
        f"--rows {JOBS.training_rows}"
        if mixturenames.parse(wildcards.mixture).kind == "unimax"
        else ""
    )


def report_inputs(wildcards):
    """Everything the report reads."""
    c = JOBS.config
    runs = [(m.name, seed) for m in c.models for seed in c.seeds]
    files = [
        file(model, seed, mixture, dataset)
        for model, seed in runs
        for mixture in c.mixtures
        for dataset in TESTS.evaluated
        for file in (PATHS.scores, PATHS.query_scores)
    ]
    files += [
        file(name, dataset)
        for name in JOBS.untrained
        for dataset in TESTS.evaluated
        for file in (PATHS.untrained_scores, PATHS.untrained_query_scores)
    ]
    files += [
        PATHS.weights(c.proxy, seed, mixture)
        for seed in c.seeds
        for mixture in c.mixtures
    ]
    files += [
        PATHS.run(c.proxy, seed, f"{course}/{file}")
        for course in JOBS.run_courses
        for seed in c.seeds
        for file in ("trajectory.parquet", "heaviest_rows.parquet")
    ]
    plans = ("tdro", "uniform") if JOBS.run_courses else ()
    files += [
        PATHS.run(c.proxy, seed, f"{plan}/plan.parquet")
        for plan in plans
        for seed in c.seeds
    ]
    return [
        *files,
        PATHS.leaks,
        *(
            PATHS.task(task, f)
            for task in JOBS.tasks
            for f in ("train.parquet", "duplicates.parquet")
        ),
        *(task_texts(wildcards) if JOBS.run_courses else []),
    ]
