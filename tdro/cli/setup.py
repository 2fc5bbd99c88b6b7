"""A new project, and whether this machine can run it."""

import sys
from pathlib import Path

from tdro.cli.arguments import argument, command

_ROOT = Path(__file__).parents[2]


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


COMMANDS = (_doctor,)
