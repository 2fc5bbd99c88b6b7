"""Completion of the command line by the Tab key."""

import argparse
from pathlib import Path
from typing import Any

from tdro.cli.arguments import argument, command


@command("completion", argument("shell", choices=("bash", "zsh")), settings=False, made=lambda options: None)
def _completion(options) -> None:
    """Print what makes a shell complete commands, options and files by the Tab key.

    input    bash or zsh
    output   a script; a line of ~/.bashrc, or a file for zsh, takes it up:

    eval "$(tdro completion bash)"
    tdro completion zsh > ~/.zfunc/_tdro    # with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc
    """
    import shtab

    from tdro.cli.main import parser

    whole = parser()
    _complete_files(whole, shtab.FILE)
    print(shtab.complete(whole, options.shell))


def _complete_files(parser: argparse.ArgumentParser, files: Any) -> None:
    """Mark each argument that is a path, of this parser and of all commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                _complete_files(inner, files)
        elif action.type is Path:
            action.complete = files  # type: ignore[attr-defined]


COMMANDS = (_completion,)
