"""What a run is refused for: a sentence, without the kind of error and the lines of our rules that Snakemake adds.

A disk that Snakemake's own notes cannot be written to is told in the same way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snakemake import exceptions
from snakemake.exceptions import WorkflowError

from tdro.artifacts import fulldisk
from tdro.errors import UserError


class Refused(WorkflowError):
    """A user's mistake, in words for the user."""


@contextmanager
def refusing() -> Iterator[None]:
    """Raise a :class:`tdro.errors.UserError` of what is inside as a :class:`Refused`."""
    try:
        yield
    except UserError as error:
        raise Refused(str(error)) from None


def tell_plainly() -> None:
    """Make Snakemake print a :class:`Refused`, and what a disk refuses, as a sentence alone; all else as before."""
    exceptions.format_exception_to_string = _sentence


def _sentence(error, linemaps=None, plainly=exceptions.format_exception_to_string) -> str:
    if isinstance(error, Refused):
        return sentence(error)
    if isinstance(error, OSError) and (said := fulldisk.sentence(error, error.filename or Path.cwd())):
        return f"Error: {said}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"Error: {error.filename} cannot be read or written: {error.strerror}."
    return plainly(error, linemaps)


def sentence(error: Exception) -> str:
    """What is printed of an error: Snakemake's own word, and the sentence, or several below it."""
    text = str(error)
    return f"Error:\n{text}" if "\n" in text else f"Error: {text}"
