"""The commands, one a stage, each with its arguments and help. The workflow's rules call these and nothing else.

A command's libraries are loaded when it runs, after its threads are set.
"""

import argparse
from collections.abc import Callable

from tdro.cli import ask, data, mining, results, training, weights

#: Each adds its command to the parser, in the order of the walk of the data.
COMMANDS = (*data.COMMANDS, *mining.COMMANDS, *training.COMMANDS, *weights.COMMANDS, *results.COMMANDS, *ask.COMMANDS)


def functions() -> dict[str, Callable]:
    """The function that runs each command."""
    commands = argparse.ArgumentParser().add_subparsers()
    for add in COMMANDS:
        add(commands)
    return {name: command.get_default("run") for name, command in commands.choices.items()}
