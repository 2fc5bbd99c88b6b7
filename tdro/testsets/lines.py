"""Lines of the benchmarks' files: JSON objects and tab-separated cells, plain or gzipped, with their places."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tdro.errors import UserError


def either(folder: Path, name: str) -> Path | None:
    """The file of that name, or its gzipped form; None when neither is there."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def existing(*paths: Path | None) -> list[Path]:
    """Those that are there."""
    return [path for path in paths if path and path.is_file()]


def need(folder: Path, name: str, layout: str) -> Path:
    """The same, which must be there.

    Raises:
        UserError: naming the file and the ``layout`` that was expected.
    """
    found = either(folder, name)
    if found is None:
        raise UserError(f"{folder / name} (or .gz) does not exist; expected a folder in {layout}'s layout.")
    return found


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Lines without their ends and blank ones, each with its place for messages.

    Raises:
        UserError: when the file cannot be read or is not UTF-8.
    """
    try:
        with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n"), f"{path}, line {number}"
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({error}); get the file anew.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}; get it anew.") from None


def objects(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """The JSON object of every line, with its place.

    Raises:
        UserError: for a line that is none, or a file without lines.
    """
    empty = True
    for line, place in lines(path):
        empty = False
        try:
            value = json.loads(line)
        except ValueError as error:
            raise UserError(f"{place} is not JSON ({error}); get the file anew.") from None
        if not isinstance(value, dict):
            raise UserError(f"{place} is not a JSON object; get the file anew.")
        yield value, place
    if empty:
        raise UserError(f"{path} is empty; expected one JSON object a line.")


def string(value: dict[str, Any], key: str, place: str) -> str:
    """A string of an object.

    Raises:
        UserError: when it is missing or is no string.
    """
    if not isinstance(value.get(key), str):
        raise UserError(f"{place} has no string `{key}`.")
    return value[key]


def qrels(path: Path, columns: int) -> dict[str, dict[str, int]]:
    """Grades above 0 by query and passage, in the order of the file.

    Args:
        path: BEIR's file (3 columns: query, passage, grade; a header) or TREC's (4, the second unused; none).
        columns: Which of the two.

    Raises:
        UserError: for a line of another form, or when nothing is graded above 0.
    """
    found: dict[str, dict[str, int]] = {}
    for number, (line, place) in enumerate(lines(path), start=1):
        cells = line.split("\t") if columns == 3 else line.split()
        if number == 1 and columns == 3 and not re.fullmatch(r"-?\d+", cells[-1].strip()):
            continue  # the header
        if len(cells) != columns or not re.fullmatch(r"-?\d+", cells[-1].strip()):
            form = "query-id<TAB>corpus-id<TAB>score" if columns == 3 else "query-id 0 passage-id grade"
            raise UserError(f"{place} is not `{form}`.")
        if int(cells[-1]) > 0:
            found.setdefault(cells[0], {})[cells[-2]] = int(cells[-1])
    if not found:
        raise UserError(f"{path} grades no passage above 0; nothing could be scored.")
    return found
