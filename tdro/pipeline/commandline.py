"""What is wrong with Snakemake's command line: configurations that are not there, targets that nothing makes.

Snakemake opens what ``--configfile`` names before it reads a line of the workflow, and would show a traceback. So the
default profile (profiles/default), which it reads earlier, looks at them first.
"""

import functools
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from snakemake.cli import get_argument_parser

from tdro.config.nearest import hint
from tdro.errors import UserError
from tdro.pipeline.refused import sentence
from tdro.pipeline.start import values_of

_KINDS = (".yaml", ".yml", ".json")


def end_over_configurations() -> None:
    """End the process with a sentence where :func:`check_configurations` refuses the command line."""
    try:
        check_configurations(sys.argv)
    except UserError as error:
        sys.exit(sentence(error))


def check_configurations(line: Sequence[str]) -> None:
    """Look at what ``--configfile`` names.

    Args:
        line: The program and its arguments.

    Raises:
        UserError: for a target that stands behind the configurations, and for a file that is none.
    """
    files = _asked(line).configfile or []
    if swallowed := [str(file) for file in files[1:] if _is_target(file)]:
        raise UserError(
            f"`--configfile` takes every word behind it for a configuration, and {swallowed[0]} is a target; "
            f"write targets first: {_targets_first(line, swallowed)}"
        )
    for file in files:
        values_of(file)


def check_targets(
    line: Sequence[str], rules: Iterable[str], is_made: Callable[[str], bool], models: Iterable[str]
) -> None:
    """Look at the targets and at the rules that are to run again.

    Args:
        line: The program and its arguments.
        rules: Names of all rules.
        is_made: Whether a rule makes a file of that name.
        models: Names of the configuration's models, for the message.

    Raises:
        UserError: for a name that is neither a rule nor a file.
    """
    asked, known = _asked(line), set(rules)
    names = [*(asked.targets or ()), *(asked.forcerun or ()), *(asked.until or ()), *(asked.omit_from or ())]
    for name in names:
        if name in known or is_made(name) or Path(name).exists():
            continue
        if "/" in name:
            raise UserError(
                f"no rule makes {name}; see whether its models, tasks and mixtures are named as in the configuration "
                f"(models: {', '.join(models)}). docs/artifacts.md lists the files."
            )
        raise UserError(
            f"there is no rule {name!r}{hint(name, known)}; `snakemake --list-target-rules` names those to ask for."
        )


def targets_are_named(line: Sequence[str]) -> bool:
    """Whether the command line names what to make. Snakemake itself tells it only when it has read the workflow."""
    return bool(_asked(line).targets)


@functools.cache
def _parser():
    return get_argument_parser()


def _asked(line: Sequence[str]):
    """What Snakemake itself makes of a command line; nothing of one that is not Snakemake's."""
    try:
        return _parser().parse_known_args(list(line[1:]))[0]
    except SystemExit:
        return _parser().parse_args([])


def _is_target(file: Path) -> bool:
    """Whether a word was meant as something to make: a rule, or a file below ``results/``."""
    return file.suffix not in _KINDS or file.parts[0] == "results"


def _targets_first(line: Sequence[str], targets: list[str]) -> str:
    program = "snakemake" if line[0].endswith("__main__.py") else line[0]
    return shlex.join([program, *targets, *(word for word in line[1:] if word not in targets)])
