"""Arrays of numbers in files of NumPy, which hold nothing that could run: objects in them are refused."""

import tokenize
import zipfile
from pathlib import Path

import numpy as np

from tdro.errors import UserError

# What a broken header makes NumPy raise: it is Python's notation of a dictionary.
_BROKEN = (
    *(OSError, ValueError, EOFError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError),
    *(tokenize.TokenError, zipfile.BadZipFile),
)


def open_array(path: Path) -> np.ndarray:
    """An array as a memory map: what is not read takes no memory.

    Raises:
        UserError: when the file is missing, cut off, or no array of numbers.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{path} is no whole array of numbers ({reason}); delete it and let the workflow make it again."
        ) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise UserError(f"{path} holds no array of numbers; delete it and let the workflow make it again.")
    return array
