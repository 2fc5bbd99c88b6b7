"""Files of local sources: found, opened and read as a stream of lines. Nothing is unpacked to disk."""

import glob
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tdro.errors import UserError
from tdro.sources import BadRow

#: Endings of the files that readers of local data understand.
ENDINGS = (".jsonl", ".jsonl.gz", ".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".tar.gz", ".tgz")

# Of a longer line only the beginning is read, which is no row: memory stays bounded whatever the file holds.
_LONGEST_LINE = 1 << 26

#: What reading a broken file or archive raises.
BROKEN = (OSError, EOFError, zlib.error)

Parsed = TypeVar("Parsed")


class Malformed(ValueError):
    """A line is no row. The message goes on a sentence that begins with the line's place."""


def local_files(path: str | None) -> list[str]:
    """The files that a source's ``path`` stands for.

    That is the file itself, the data files of a folder (BEIR's ``qrels`` among them), or those that a
    pattern matches; of a qrels file, all of its dataset. It is [] where there is none yet.
    """
    place = Path(path or "")
    if path and place.is_file():
        return [path] if place.parent.name != "qrels" else sorted({path, *local_files(str(place.parent.parent))})
    if path and place.is_dir():
        found = [*place.iterdir(), *place.glob("qrels/*")]
        return sorted(str(file) for file in found if file.is_file() and file.name.endswith(ENDINGS))
    return [str(file) for file in matching(path or "")]


def matching(pattern: str) -> list[Path]:
    """Files whose paths match a pattern, sorted."""
    found = map(Path, glob.glob(pattern))  # noqa: PTH207 - a pattern may be absolute
    return sorted(file for file in found if file.is_file())


def opened(path: Path) -> Any:
    """A file as bytes, unpacked on the way when its name ends in ``gz``."""
    return gzip.open(path, "rb") if path.name.endswith("gz") else path.open("rb")


def lines(path: Path) -> Iterator[bytes]:
    """Lines of a file.

    Raises:
        UserError: when the file cannot be read, also where it breaks off in the middle.
    """
    try:
        with opened(path) as file:
            yield from split_lines(file)
    except BROKEN as error:
        raise unreadable(path, error) from None


def split_lines(file: Any) -> Iterator[bytes]:
    """Lines of an open file; of one that is too long, the beginning."""
    while line := file.readline(_LONGEST_LINE):
        yield line
        while len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(_LONGEST_LINE)


def parsed(stream: Iterable[bytes], where: str, parse: Callable[[int, bytes], Parsed]) -> Iterator[Parsed | BadRow]:
    """What ``parse`` makes of each line that is not blank; where it raises :class:`Malformed`, a bad row.

    Args:
        stream: the lines.
        where: name of their file, for the places of bad rows.
        parse: reads one line, given its number from 1 and its bytes.
    """
    for number, line in enumerate(stream, start=1):
        if line.strip():
            try:
                yield parse(number, line)
            except Malformed as error:
                yield BadRow(f"{where}, line {number}", str(error))


def some(items: Iterable[Parsed | None], complaint: str) -> Iterator[Parsed]:
    """The items but null.

    Raises:
        UserError: with ``complaint``, at the end of a stream that held nothing else.
    """
    empty = True
    for item in items:
        if item is not None:
            empty = False
            yield item
    if empty:
        raise UserError(complaint)


def json_value(line: bytes) -> Any:
    """The JSON value of a line."""
    try:
        return json.loads(line)
    except UnicodeDecodeError:
        raise Malformed("is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise Malformed(f"is not JSON ({error})") from None


def unreadable(path: Path, error: Exception) -> UserError:
    """What to raise when a file or folder of a source cannot be read."""
    reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    return UserError(f"{path} cannot be read: {reason}; correct `path` of the source in the registry or get it anew.")
