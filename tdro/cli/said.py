"""What a command says of itself before it does anything, and when a signal ends it."""

import inspect
import logging
from pathlib import Path

log = logging.getLogger(__name__)


def begins(options) -> None:
    """Say what the command does and writes: the libraries that it loads next may take ten seconds.

    A command that writes nothing answers at once and needs no such line.
    """
    if written := _written(options):
        summary = inspect.getdoc(options.run).partition("\n\n")[0].replace("\n", " ").rstrip(".")
        more = f" and {len(written) - 1} more" if len(written) > 1 else ""
        log.info("%s: %s; writes %s%s", options.command, summary[:1].lower() + summary[1:], written[0], more)


def interrupted(options, by: str) -> str:
    """What is kept when a signal ends the command, and how to go on."""
    checkpoints = getattr(options, "checkpoints", None)
    if checkpoints and checkpoints.is_dir() and any(checkpoints.iterdir()):
        return f"stopped by {by}. {checkpoints} keeps what was done; the same command goes on from there."
    if written := _written(options):
        return f"stopped by {by}. Nothing half-written stays; the same command makes {written[0]} from the start."
    return f"stopped by {by}."


def _written(options) -> list[Path]:
    """The outputs that stand for all that the command writes."""
    made = options.made(options) or getattr(options, "output", None)
    return made if isinstance(made, list) else [made] if made else []
