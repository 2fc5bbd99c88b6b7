"""What the commands' arguments have in common."""

import argparse
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from tdro.config.nearest import hint, nearest

#: Adds an argument, or several, to a parser.
Argument = Callable[[argparse.ArgumentParser], Any]


# What a message calls the values that an option takes.
_EXPECTED = {int: "a whole number", float: "a number"}


class OneSentence(argparse.ArgumentParser):
    """A parser that says in a sentence what is wrong and what was probably meant; ``--help`` tells the rest."""

    def error(self, message: str) -> NoReturn:
        """End with the sentence and status 2."""
        self.exit(2, f"{self.prog}: error: {message.removesuffix('.')}. See `{self.prog} --help`.\n")

    def refuse(self, options: list[str]) -> NoReturn:
        """End over arguments that this parser has no place for."""
        known = [name[2:] for action in self._actions for name in action.option_strings if name.startswith("--")]
        first = next((word for word in options if word.startswith("-")), None)
        if first is None:
            self.error(f"there is no place for {' '.join(options)!r}")
        name = first.partition("=")[0]
        found = nearest(name.lstrip("-"), known)
        self.error(f"there is no option {name}{f' (did you mean --{found}?)' if found else ''}")

    def _get_value(self, action: argparse.Action, text: str) -> Any:
        try:
            return super()._get_value(action, text)
        except argparse.ArgumentError:
            if action.type in _EXPECTED:
                raise argparse.ArgumentError(action, f"expected {_EXPECTED[action.type]}, not {text!r}") from None
            raise

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        if isinstance(action, argparse._SubParsersAction):
            raise argparse.ArgumentError(None, f"there is no command {value!r}{hint(str(value), action.choices)}")
        known = ", ".join(map(str, action.choices))
        raise argparse.ArgumentError(
            action, f"{value!r} is none of {known}{hint(str(value), map(str, action.choices))}"
        )


class Mixed(OneSentence):
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


class Command(NamedTuple):
    """A command: its function, whose docstring is its help, and what adds its arguments to a parser.

    ``made`` names the output that stands for all that the command makes (:mod:`tdro.artifacts.versions`), or one of
    each thing that it makes; default: ``--output``.
    """

    name: str
    run: Callable[[argparse.Namespace], None]
    arguments: tuple[Argument, ...]
    made: Callable[[argparse.Namespace], Path | list[Path] | None]

    def add(self, commands: argparse._SubParsersAction) -> None:
        """Add it to a parser."""
        summary, _, details = inspect.getdoc(self.run).partition("\n\n")
        raw = argparse.RawDescriptionHelpFormatter
        parser = commands.add_parser(self.name, help=summary, description=summary, epilog=details, formatter_class=raw)
        for add_to in self.arguments:
            add_to(parser)
        parser.set_defaults(run=self.run, made=self.made, parser=parser)


def command(
    name: str, *arguments: Argument, settings: bool = True, made: Callable | None = None
) -> Callable[[Callable], Command]:
    """Makes a command of a function; ``settings``: whether it takes ``--settings``."""
    common = (_THREADS, _SETTINGS) if settings else (_THREADS,)
    made = made or (lambda options: getattr(options, "output", None))
    return lambda run: Command(name, run, (*common, *arguments), made)


def argument(*flags: str, **keywords: Any) -> Argument:
    """One argument, as :meth:`argparse.ArgumentParser.add_argument` takes it."""
    return lambda parser: parser.add_argument(*flags, **keywords)


def count(text: str) -> int:
    """A whole number of 1 or more."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, not {text!r}")
    return int(text)


def paths(*names: str) -> Argument:
    """Required options that are paths."""
    return lambda parser: [parser.add_argument(f"--{name}", type=Path, required=True) for name in names]


_THREADS = argument("--threads", type=count, help="CPU threads of this process; default: all")
_SETTINGS = argument(
    "--settings", metavar="YAML", help="settings as YAML or JSON text, or @FILE; keys in config/README.md"
)
#: The manifest of what was fetched ahead.
FETCHED = argument(
    "--fetched", type=Path, metavar="MANIFEST", help="written by `tdro fetch`; default: fetch what is needed now"
)
#: The folder of results.
RESULTS = argument("--results", type=Path, default=Path("results"), help="folder of results; default: results")


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
