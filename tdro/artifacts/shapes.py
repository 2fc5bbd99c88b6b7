"""Files that can be read and do not hold what they should: one sentence in the place of Python's errors.

with expecting(path, "law of merged experts"):
tasks = content["tasks"]
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tdro.errors import UserError

#: What Python raises where content has another shape: a key is missing, a text stands for a number or a list.
MALFORMED = (KeyError, TypeError, AttributeError, ValueError, IndexError, ArithmeticError, RecursionError)

# Characters of an error of a library that are quoted.
_SHOWN = 120


@contextmanager
def expecting(path: object, what: str, advice: str = "delete it and let the workflow make it again") -> Iterator[None]:
    """Name the file whose content is understood inside.

    Args:
        path: The file.
        what: What it should hold.
        advice: What helps.

    Raises:
        UserError: in the place of an error of :data:`MALFORMED`.
    """
    try:
        yield
    except MALFORMED as error:
        raise UserError(f"{path} is no whole {what} ({said(error)}); {advice}.") from None


def reason(error: BaseException) -> str:
    """What an error of a library tells, in one line; the name of its kind where it tells nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def said(error: Exception) -> str:
    """What an error tells, in a few words."""
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    line = (str(error).splitlines() or [""])[0]
    line = f"{line[:_SHOWN]}..." if len(line) > _SHOWN else line
    return line if type(error) is ValueError and line else f"{type(error).__name__}: {line}"
