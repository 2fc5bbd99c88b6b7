"""What a run of the workflow would do."""

import sys

from tdro.cli.arguments import command
from tdro.cli.handover import run

#: Name of the option that holds the arguments of a command line that are not ours.
HANDED_ON = "handed_on"


def _hands_on(parser) -> None:
    """Shows in the help that the command takes Snakemake's arguments, and lets them pass."""
    parser.usage = "tdro plan-run [SNAKEMAKE ARGUMENT ...]"
    parser.set_defaults(**{HANDED_ON: []})


@command("plan-run", _hands_on, settings=False, made=lambda options: None)
def _plan_run(options) -> None:
    """Say which jobs a run would have, why, and how long they may take. Runs none of them.

    input    the arguments that `snakemake` would get, in the same folder
    output   a table: a line for the jobs of a rule that have the same reasons

    A job that "may run" lies behind a point at which the run looks whether data that were made again have another
    content. Times are those of earlier runs in the folder (logs/*/*.tsv); of rules without any, the forecast's or the
    demo's.

    tdro plan-run --cores all --configfile config/mine.yaml
    """
    from tdro.pipeline.screen.install import PLANNED

    quietly = ["--quiet", "rules", "progress", "--dry-run"]  # a list of all jobs would take as long again
    line = [sys.executable, "-m", "snakemake", *quietly, *options.handed_on]
    sys.exit(run(line, {PLANNED: "1"}))


COMMANDS = (_plan_run,)
