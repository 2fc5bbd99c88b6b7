"""The command line: parses, sets threads and logging, runs a command; the workflow's rules call these and nothing else.

A command's libraries are loaded when it runs, after its threads are set.
"""

import argparse
import atexit
import gc
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import NoReturn

import tdro
from tdro.artifacts import fulldisk
from tdro.cli import (
    ask,
    check,
    completion,
    data,
    dev,
    forecast,
    mining,
    planrun,
    results,
    setup,
    show,
    study,
    training,
    weights,
)
from tdro.cli.arguments import Mixed, OneSentence
from tdro.cli.said import begins, interrupted
from tdro.cli.stops import Stopped, listening
from tdro.errors import Unfinished, UserError
from tdro.formats import told
from tdro.models import outofmemory
from tdro.models.processes import lost, told_cpu

#: All commands by name, in the order of the walk of the data.
COMMANDS = {
    command.name: command
    for module in (
        *(setup, data, mining, training, weights, dev, results),
        *(show, study, ask, check, forecast, planrun, completion),
    )
    for command in module.COMMANDS
}

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
#: Where the workflow wants to have noted which version made an output.
NOTES = "TDRO_VERSIONS"
#: Rounds of the garbage collector while libraries are loaded find nothing: fewer of them save a fifth of a job's start.
_GARBAGE_THRESHOLDS = (200_000, 20, 50)
# What a shell reports of a process that SIGPIPE ended.
_OUTPUT_CLOSED = 128 + 13
_EPILOG = """\
to begin
  tdro init FOLDER           a project from a folder of your data
  tdro check CONFIG          what is odd about its data
  tdro doctor [CONFIG]       whether this machine has what a run needs
  tdro forecast              what a run will cost
  snakemake --cores all --configfile CONFIG

`tdro COMMAND --help` explains a command; docs/tutorial.md walks through your own data.
"""


def main(arguments: list[str] | None = None) -> None:
    """Run one command; a user's mistake ends with one sentence and status 1."""
    options = _parsed(arguments)
    use_threads(options.threads)
    _hide_gpus()
    _quieten_libraries()
    _log_to_stderr()
    try:
        with listening():
            made_by = _made_by(options)
            begins(options)
            options.run(options)
            _note(options, made_by)
            sys.stdout.flush()
    except BrokenPipeError:
        # `tdro show ... | head`: who read the output has seen enough. Nothing is left to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_OUTPUT_CLOSED)
    except UserError as error:
        sys.exit(f"tdro {options.command}: error: {error}")
    except Unfinished as stop:
        print(f"tdro {options.command}: {stop}", file=sys.stderr)
        sys.exit(Unfinished.STATUS)
    except Stopped as stop:
        print(f"tdro {options.command}: {interrupted(options, stop.by)}", file=sys.stderr)
        sys.exit(stop.status)
    except Exception as error:
        if (said := _about_files(error) or outofmemory.sentence(error) or lost(error)) is None:
            raise
        sys.exit(f"tdro {options.command}: error: {said}")


def command_line(arguments: list[str] | None = None) -> NoReturn:
    """What ``tdro`` and ``python -m tdro`` call: :func:`main`, then the end of the process, at once, with its status.

    Threads of C++ libraries sometimes abort an interpreter that tears down (seen once in some thousand jobs,
    "terminate called without an active exception"; apache/arrow#45214 is alike), and Snakemake removes what
    such a job has written; a training that asked for another run (:class:`Unfinished`) would count as failed.
    """
    status: str | int | None = 0
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    try:
        main(arguments)
    except SystemExit as end:
        status = end.code
    if isinstance(status, str):
        print(status, file=sys.stderr)
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    raw = argparse.RawDescriptionHelpFormatter
    made = OneSentence(prog="tdro", description=tdro.__doc__, epilog=_EPILOG, formatter_class=raw)
    made.add_argument("--version", action="version", version=f"tdro {tdro.__version__}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Mixed)
    for command in COMMANDS.values():
        command.add(commands)
    return made


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The arguments, or without any the help; others than ours are refused, but of a command that hands them on."""
    whole = parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        whole.print_help()
        sys.exit()
    options, others = whole.parse_known_args(arguments)
    if others and not hasattr(options, planrun.HANDED_ON):
        options.parser.refuse(others)
    setattr(options, planrun.HANDED_ON, others)
    return options


def _about_files(error: Exception) -> str | None:
    """A sentence on a file that cannot be read or written, where an error tells which."""
    if said := fulldisk.sentence(error):
        return said
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename is not None:
        return f"{error.filename} cannot be made: a file lies where a folder is needed; name another place."
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be read or written: {error.strerror}."
    return None


def use_threads(threads: int | None) -> None:
    """Tell every library at once; they read these variables when they are loaded."""
    if threads:
        os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))


def _hide_gpus() -> None:
    """In a job that leaves GPUs alone no library sees any: one that looks for itself takes memory of each."""
    if told_cpu():
        os.environ.update(CUDA_VISIBLE_DEVICES="", HIP_VISIBLE_DEVICES="")


def _quieten_libraries() -> None:
    """Their progress bars make a log file unreadable; ours is a line now and then."""
    os.environ.update(TQDM_DISABLE="1", HF_HUB_DISABLE_PROGRESS_BARS="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")
    for library in ("mteb", "sentence_transformers", "transformers", "faiss.loader", "bm25s"):
        logging.getLogger(library).setLevel(logging.ERROR)
    warnings.simplefilter("ignore", FutureWarning)


def _made_by(options):
    """The version that runs, read before it may change on disk; None outside the workflow and for helping processes."""
    if NOTES not in os.environ or os.environ.get("RANK", "0") != "0" or options.made(options) is None:
        return None
    from tdro.artifacts.versions import of_command

    return of_command(options.run)


def _note(options, made_by) -> None:
    if made_by:
        from tdro.artifacts.versions import note

        made = options.made(options)
        for output in made if isinstance(made, list) else [made]:
            note(Path(os.environ[NOTES]), options.command, made_by, output)


class _Lines(logging.Formatter):
    """Lines of a log, of which the workflow's screen repeats the warnings (:mod:`tdro.pipeline.screen.logends`)."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        message = "\n".join(map(told, record.message.split("\n")))
        record.said = f"warning: {message}" if record.levelno == logging.WARNING else message
        return super().formatMessage(record)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines("%(asctime)s %(name)s: %(said)s", "%H:%M:%S"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    main_process = os.environ.get("RANK", "0") == "0"
    logging.getLogger("tdro").setLevel(logging.INFO if main_process else logging.ERROR)
