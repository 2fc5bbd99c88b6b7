"""A disk that is full or can only be read, a quota that is used up: one sentence that names the file, whichever library
was writing.

Python and Arrow tell it by a number, others only by words.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tdro.errors import UserError

_NUMBERS = {
    errno.ENOSPC: "no space is left on its disk",
    errno.EDQUOT: "your quota on its disk is used up",
    errno.EFBIG: "it grows beyond what its disk or `ulimit -f` allows",
    errno.EROFS: "its disk can only be read",
}
_WORDS = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "File too large": errno.EFBIG,
    "Read-only file system": errno.EROFS,
    "(os error 28)": errno.ENOSPC,  # safetensors, which is Rust
    " requested and ": errno.ENOSPC,  # NumPy: `100 requested and 40 written`
    "PytorchStreamWriter failed writing": errno.ENOSPC,
    "inline_container.cc": errno.ENOSPC,
    "iostream error": errno.ENOSPC,  # of C++, at the end of such a file
}


def sentence(error: BaseException, path: str | Path | None = None) -> str | None:
    """What to tell the user, or None for an error of another kind.

    Args:
        error: what was raised.
        path: the file or folder that was written, where the error does not know it.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if number := _number(cause):
            place = path or getattr(cause, "filename", None) or "A file"
            first = "make it writable" if number == errno.EROFS else "make room there"
            return (
                f"{place} cannot be written: {_NUMBERS[number]}; {first}, or let results, logs and checkpoints "
                "lie on another disk (`--directory FOLDER`), then start again."
            )
        cause = cause.__cause__ or cause.__context__
    return None


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Name the file that is written inside.

    Raises:
        UserError: in the place of an error that says that the disk is full.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if said := sentence(error, path):
            raise UserError(said) from None
        raise


def _number(error: BaseException) -> int | None:
    """The system's number of an error of a full disk."""
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        return error.errno
    if isinstance(error, UserError):
        return None
    text = str(error)
    return next((number for words, number in _WORDS.items() if words in text), None)
