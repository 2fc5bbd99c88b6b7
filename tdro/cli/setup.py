"""A new project, and whether this machine can run it."""

import argparse
import shlex
import sys
from pathlib import Path

from tdro.cli.arguments import argument, command
from tdro.errors import UserError
from tdro.formats import visible

_ROOT = Path(__file__).parents[2]


def _instruction(text: str) -> tuple[str, str]:
    """A dataset and what a searcher wants of it, written ``NAME=TEXT``."""
    name, equals, said = text.partition("=")
    if not equals or not said.strip():
        raise argparse.ArgumentTypeError(f"expected NAME=TEXT, not {text!r}")
    return name, said


@command(
    "init",
    argument("folder", type=Path, metavar="FOLDER", help="of the new project; it is made"),
    argument("--from", dest="data", type=Path, metavar="FOLDER", help="your data; default: it is asked for"),
    argument("--base", metavar="MODEL", help="hub id or folder of the model to train; default: a small one"),
    argument(
        "--instruction",
        dest="instructions",
        type=_instruction,
        nargs="+",
        default=[],
        metavar="NAME=TEXT",
        help="what a searcher wants of a dataset; default: a general sentence",
    ),
    settings=False,
    made=lambda options: None,
)
def _init(options) -> None:
    r"""Write a project from a folder of data: a registry of your datasets, and a configuration.

    input    a folder of JSON lines, Parquet, CSV, TSV, or folders in BEIR's layout; a terminal is asked what no
             option says
    output   FOLDER/registry.yaml and FOLDER/config.yaml, with comments; files that are there are never overwritten

    A file is a task, and so are numbered parts of one. A file whose name ends in `test` becomes a benchmark; one that
    ends in `dev` is for choices.

    tdro init mine --from data --base BAAI/bge-small-en-v1.5 \
      --instruction faq="Given a customer's question, retrieve the answer of the help centre."
    """
    from tdro.setup import newproject, questions
    from tdro.setup.proposal import propose

    newproject.check_free(options.folder)
    ask = questions.can_ask()
    if options.data is None and not ask:
        raise UserError("name the folder that holds your data: --from FOLDER.")
    data = options.data or Path(questions.asked("Which folder holds your data?", "data")).expanduser()
    told = dict(options.instructions)
    proposal = propose(data, options.folder, told)
    if ask and not told:
        told = questions.instructions(proposal)
        proposal = propose(data, options.folder, told)
    base = options.base or newproject.default_base(proposal)
    if ask and not options.base:
        base = questions.asked("Which model is trained? A hub id or a folder", base)
    newproject.write(newproject.project(proposal, _whole(base)), options.folder)
    print(visible(newproject.summary(proposal)))
    snakemake = f"snakemake --cores all --snakefile {shlex.quote(str(_ROOT / 'Snakefile'))} --configfile config.yaml"
    print(f"{options.folder} has a registry and a configuration. Look through both, then type\n")
    print(f"    cd {shlex.quote(str(options.folder))} && tdro doctor config.yaml\n    {snakemake}")


def _whole(base: str) -> str:
    """A base as the configuration names it: of a folder that is there the whole path."""
    there = Path(base).expanduser()
    return str(there.absolute()) if there.is_dir() else base


@command(
    "doctor",
    argument("config", type=Path, nargs="?", metavar="CONFIG", help="the configuration of your project"),
    settings=False,
    made=lambda options: None,
)
def _doctor(options) -> None:
    """Look whether this machine has what a run needs: versions, GPUs, disk, memory, SLURM, the hub.

    input    a configuration, in the folder where its run will start; without one the machine alone
    output   a table: a row a check, ok, warn or fail, and what helps; the status is 1 where anything fails

    tdro doctor config/mine.yaml
    """
    from tdro.setup.doctor import examine
    from tdro.setup.findings import table, verdict

    found = examine(options.config, _ROOT, Path("results"))
    print(table(found), end="")
    print(verdict(found))
    if any(finding.state == "fail" for finding in found):
        sys.stdout.flush()
        sys.exit(1)


COMMANDS = (_init, _doctor)
