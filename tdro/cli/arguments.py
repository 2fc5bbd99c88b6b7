"""What the commands' arguments have in common."""

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path


class Mixed(argparse.ArgumentParser):
    """A parser whose positional arguments may stand between and behind options, each where one likes."""

    _mixing = False

    def parse_known_args(self, args=None, namespace=None):
        """What :meth:`argparse.ArgumentParser.parse_known_intermixed_args` gives, which calls this method itself."""
        if self._mixing:
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False


def add_command(
    commands,
    name: str,
    summary: str,
    details: str,
    run: Callable[..., None],
    *,
    settings: bool = True,
    made: Callable[..., Path | list[Path] | None] | None = None,
) -> argparse.ArgumentParser:
    """Add a command that calls ``run`` with its parsed options.

    ``made`` names the output that stands for all that the command makes (:mod:`tdro.artifacts.versions`), or one of
    each thing that it makes; default: ``--output``.
    """
    command = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=textwrap.dedent(details).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--threads", type=int, help="CPU threads of this process; default: all")
    if settings:
        command.add_argument(
            "--settings", metavar="YAML", help="settings as YAML or JSON text, or @FILE; keys in config/README.md"
        )
    command.set_defaults(run=run, made=made or (lambda options: getattr(options, "output", None)))
    return command


def add_paths(command: argparse.ArgumentParser, *names: str) -> None:
    """Add required options that are paths."""
    for name in names:
        command.add_argument(f"--{name}", type=Path, required=True)


def add_fetched(command: argparse.ArgumentParser) -> None:
    """Add the manifest of what was fetched ahead."""
    command.add_argument(
        "--fetched", type=Path, metavar="MANIFEST", help="written by `tdro fetch`; default: fetch what is needed now"
    )


def add_results(command: argparse.ArgumentParser) -> None:
    """Add the folder of results."""
    command.add_argument("--results", type=Path, default=Path("results"), help="folder of results; default: results")


def named_path(text: str) -> tuple[str, Path]:
    """A name and a path, written ``NAME=PATH``."""
    name, equals, path = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=PATH, not {text!r}")
    return name, Path(path).expanduser()


def read_settings(options, section):
    """The ``--settings`` of a command, validated as ``section``."""
    from tdro.config.sections import settings

    return settings(section, options.settings)
