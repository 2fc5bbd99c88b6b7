# What is refused and said before a run goes on: locks, orphans, data that are missing, results of others.
import functools
import signal
import threading

import snakemake.exceptions
from snakemake.dag import DAG
from snakemake.exceptions import LockException
from snakemake.executors.local import Executor
from snakemake.logging import logger
from snakemake.persistence import FileBackupMixin
from snakemake.scheduling.job_scheduler import JobScheduler

from tdro.artifacts.files import write_json
from tdro.cli.main import COMMANDS
from tdro.forecast.forecast import of_jobs
from tdro.forecast.rates import Asked
from tdro.forecast.table import as_json, line
from tdro.pipeline import slurmqueue
from tdro.pipeline.commandline import check_targets, targets_are_named
from tdro.pipeline.killed import explain_lock, explain_orphans, orphans, tell_jobs
from tdro.pipeline.mixedversions import warning
from tdro.pipeline.project import claim


class Locked(Refused, LockException):
    """What Snakemake says of a locked folder, with the command to type."""

    def __init__(self):
        Refused.__init__(self, explain_lock(Path.cwd(), sys.argv))


snakemake.exceptions.LockException = Locked


def back_up(persistence, path, plainly=FileBackupMixin.backup_output):
    """Copy a model that is about to be replaced, and first take away the copy that a killed job has left: Snakemake fails
    over it."""
    persistence.cleanup_backup(path)
    plainly(persistence, path)


FileBackupMixin.backup_output = back_up


async def find_once(
    dag, jobs, file=None, known_producers=None, plainly=DAG.update, **how
):
    """Add a job that makes a file to the DAG, and remember it: Snakemake looks for it anew in every job that reads the file.

    A job that is still being added is not remembered yet, so that cycles are found as before.
    """
    known = {} if known_producers is None else known_producers
    job = await plainly(dag, jobs, file=file, known_producers=known, **how)
    known[file] = [job]
    return job


DAG.update = find_once


async def measure_once(scheduler, jobs):
    """Read the sizes of a job's inputs when it becomes ready. Snakemake reads those of all ready jobs before each start: with
    a hundred jobs that wait, a second of the processor for every job that starts."""
    sizes, measured = (
        scheduler._input_sizes,
        scheduler.__dict__.setdefault("measured", set()),
    )
    for job in set(jobs) - measured:
        for path in job.input:
            if path not in sizes:
                sizes[path] = await path.size() if await path.exists() else None
    measured.update(jobs)


JobScheduler.update_input_sizes = measure_once


def end_jobs(executor, plainly=Executor.cancel):
    """Tell jobs under way to end, where Snakemake itself only waits for them."""
    ended = threading.Event()
    threading.Thread(target=tell_jobs, args=(ended,), daemon=True).start()
    try:
        plainly(executor)
    finally:
        ended.set()


Executor.cancel = end_jobs


def end_when_the_terminal_closes():
    """As on Ctrl-C: Snakemake would end at once and leave its lock. What ignores it (`nohup`) goes on."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.default_int_handler)


def refuse_orphans():
    """Start nothing while jobs of a run that was killed go on: two trainings would write the same checkpoints."""
    if found := orphans(Path.cwd()):
        raise Refused(explain_orphans(Path.cwd(), found))


def run_at_the_start(function):
    """Call a function before the first job, after what the workflow that uses this one as a module does then."""
    theirs = workflow._onstart

    def both(log):
        theirs(log)
        function()

    workflow._onstart = both


def say_what_other_versions_made():
    """One line about results that another version of the code or of a library has made."""

    def rule_of(output):
        return next((r.name for r in workflow.rules if r.is_producer(output)), None)

    if workflow.is_main_process:
        line = warning(
            Path(PATHS.results),
            Path(PATHS.versions),
            {name: command.run for name, command in COMMANDS.items()},
            rule_of,
            libraries=OWN_PYTHON,
        )
        if line:
            logger.warning(line)


def refuse_unknown_targets():
    """Say of a name that was asked for and that nothing makes what may have been meant.

    A workflow that takes this one in may have rules of its own below, which are not known here.
    """
    ours = [(ROOT / file).resolve() for file in ("Snakefile", "workflow/Snakefile")]
    if (
        not workflow.is_main_process
        or Path(workflow.main_snakefile).resolve() not in ours
    ):
        return
    rules = list(workflow.rules)
    with refusing():
        check_targets(
            sys.argv,
            [rule.name for rule in rules],
            lambda file: any(rule.is_producer(file) for rule in rules),
            [model.name for model in JOBS.config.models],
        )


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
    if wrong and not targets_are_named(sys.argv):
        raise Refused("\n".join(wrong))
    for line in [*start.remarks(JOBS, Path(PATHS.project)), *wrong, *to_come]:
        logger.warning(line)


@functools.cache
def forecast():
    """What a whole run will cost, or None: whatever is wrong with a forecast is no reason to stop."""
    try:
        return of_jobs(JOBS, PATHS, ROOT, Asked())
    except Exception as error:
        logger.debug(f"no forecast: {error!r}")
        return None


def say_what_it_will_cost():
    """One line; by rule it is what `tdro forecast` prints."""
    if workflow.is_main_process and forecast():
        logger.info(line(forecast()))


def keep_forecast():
    """Leave it for the report, which compares it with what was measured."""
    if forecast():
        with refusing():
            write_json("logs/forecast.json", as_json(forecast()))


def claim_results():
    """Note whose results these are; start nothing where they are another registry's, or where data are missing."""
    _, to_come = unusable()
    if to_come and not targets_are_named(sys.argv):
        raise Refused("\n".join(to_come))
    with refusing():
        claim(Path(PATHS.project), JOBS.registry_file, JOBS.registry)


def refuse_jobs_of_a_killed_run():
    """Start nothing while SLURM still runs jobs of this folder, which a Snakemake that was killed has left behind.

    Snakemake would submit them a second time. Left alone they end as usual, and their outputs count.
    """
    with refusing():
        left = slurmqueue.jobs_of(Path.cwd())
    if left:
        raise Refused(
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


def begin():
    """What a run does and refuses before its first job."""
    end_when_the_terminal_closes()
    claim_results()
    keep_forecast()
    refuse_orphans()
    if workflow.executor_plugin.name == "slurm":
        refuse_jobs_of_a_killed_run()
        see_cancelled_jobs()
