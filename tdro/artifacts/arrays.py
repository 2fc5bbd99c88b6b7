"""Arrays of numbers in files of NumPy, which hold nothing that could run: objects in them are refused."""

import tokenize
import zipfile
from pathlib import Path

import numpy as np

from tdro.artifacts.shapes import MALFORMED, reason
from tdro.errors import UserError

# What a broken header makes NumPy raise: it is Python's notation of a dictionary.
_BROKEN = (
    *(OSError, EOFError, SyntaxError, MemoryError, tokenize.TokenError, zipfile.BadZipFile),
    *MALFORMED,
)


def open_array(path: Path) -> np.ndarray:
    """An array as a memory map: what is not read takes no memory.

    Raises:
        UserError: when the file is missing, cut off, or no array of numbers.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _BROKEN as error:
        raise UserError(
            f"{path} is no whole array of numbers ({reason(error)}); delete it and let the workflow make it again."
        ) from None
    if not isinstance(array, np.ndarray) or not _of_numbers(array.dtype):
        raise UserError(f"{path} holds no array of numbers; delete it and let the workflow make it again.")
    return array


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array of numbers as ``.npy``.

    NumPy's own way loses the end of a file on a disk that runs full without a word: it closes the file without looking
    whether what was held back could be written.
    """
    whole = np.ascontiguousarray(array)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(whole))
        file.write(whole.data)


def _of_numbers(kind: np.dtype) -> bool:
    """Whether cells are numbers, or records of them."""
    if kind.fields:
        return all(_of_numbers(part) for part, *_ in kind.fields.values())
    return (kind.subdtype or (kind,))[0].kind in "biuf"
