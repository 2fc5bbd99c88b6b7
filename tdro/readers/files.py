"""Files of local sources: found, opened and read as a stream of lines. Nothing is unpacked to disk."""

import glob
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tdro.errors import UserError
from tdro.readers import filekinds
from tdro.readers.base import BadRow

#: Endings of the files that readers of local data understand.
ENDINGS = (".jsonl", ".jsonl.gz", ".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".tar.gz", ".tgz")

# Of a longer line only the beginning is read, which is no row: memory stays bounded whatever the file holds.
_LONGEST_LINE = 1 << 26

#: What reading a broken file or archive raises.
BROKEN = (OSError, EOFError, zlib.error)

#: What is said of bytes that are no text, and what helps.
NOT_UTF8 = "is not UTF-8"
TO_UTF8 = "`iconv -f ENCODING -t UTF-8` makes UTF-8 of a text, where ENCODING is perhaps WINDOWS-1252 or GB18030"

#: What a message on a file of a source ends with.
ADVICE = "correct `path` of the source in the registry or get it anew"

Parsed = TypeVar("Parsed")


class Malformed(ValueError):
    """A line is no row. The message goes on a sentence that begins with the line's place."""


class Unfinished(Malformed):
    """A line stops in the middle of a row."""


class TooLong(bytes):
    """The beginning of a line that is longer than any row may be."""


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
        return sorted(str(file) for file in found if file.is_file() and file.name.lower().endswith(ENDINGS))
    return [str(file) for file in matching(path or "")]


def matching(pattern: str) -> list[Path]:
    """Files whose paths match a pattern, sorted; each once, also where links to folders make circles.

    Raises:
        UserError: when ``**`` stands beside other letters, where it would mean no more than ``*``.
    """
    if any("**" in part and part != "**" for part in Path(pattern).parts):
        better = pattern.replace("**", "**/*")
        raise UserError(f"{pattern}: `**` must stand alone between slashes; write {better}.")
    found: dict[Path, Path] = {}
    for name in sorted(glob.glob(pattern, recursive=True), key=_depth):  # noqa: PTH207 - a pattern may be absolute
        file = Path(name)
        if file.is_file():
            # Files that are links count each: in the hub's cache, two of equal content lead to one place.
            found.setdefault(file.parent.resolve() / file.name, file)
    return sorted(found.values())


def _depth(name: str) -> tuple[int, str]:
    return name.count("/"), name


def opened(path: Path, advice: str = ADVICE) -> Any:
    """A file as bytes, unpacked on the way when its name ends in ``gz``.

    Raises:
        UserError: when its name says gzip and its first bytes something else.
        OSError: when it cannot be opened.
    """
    if not path.name.endswith("gz"):
        return path.open("rb")
    with path.open("rb") as packed:
        head = packed.read(filekinds.HEAD)
    if head and not head.startswith(b"\x1f\x8b"):
        found = filekinds.problem(head) or "it is text; take that ending away"
        raise _unreadable(path, f"its name ends in `gz`, but {found}", advice)
    return gzip.open(path, "rb")


def lines(path: Path, *, json: bool = False, advice: str = ADVICE) -> Iterator[bytes]:
    """Lines of a file.

    Args:
        path: the file.
        json: whether each line shall be a JSON value.
        advice: what the messages end with.

    Raises:
        UserError: when the file cannot be read, also where it breaks off in the middle, or is of another kind.
    """
    try:
        with opened(path, advice) as file:
            yield from split_lines(file, str(path), json=json, advice=advice)
    except BROKEN as error:
        raise unreadable(path, error, advice) from None


def split_lines(file: Any, where: str, *, json: bool = False, advice: str = ADVICE) -> Iterator[bytes]:
    """Lines of an open file called ``where``; of one that is too long, the beginning, as :class:`TooLong`.

    Raises:
        UserError: when the first bytes tell that it holds something else.
    """
    file = io.BufferedReader(file, filekinds.HEAD)
    head = file.peek(filekinds.HEAD)
    if found := filekinds.problem(head):
        raise _unreadable(where, found, advice)
    if json and (found := filekinds.not_json_lines(head)):
        raise UserError(f"{where}, line 1: {found}; {advice}.")
    while line := file.readline(_LONGEST_LINE):
        if len(line) < _LONGEST_LINE or line.endswith(b"\n"):
            yield line
            continue
        rest = file.readline(_LONGEST_LINE)
        yield TooLong(line) if rest.strip(b"\n") else line + rest
        while len(rest) == _LONGEST_LINE and not rest.endswith(b"\n"):
            rest = file.readline(_LONGEST_LINE)


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
                check_length(line)
                yield parse(number, line)
            except Malformed as error:
                _check_end(line, where, number, error)
                yield BadRow(f"{where}, line {number}", str(error))


def check_length(line: bytes) -> None:
    """Raises Malformed: for the beginning of a line that is too long."""
    if isinstance(line, TooLong):
        raise Malformed(f"is too long: a line may hold {_LONGEST_LINE} bytes; cut it, or see whether lines end in LF")


def _check_end(line: bytes, where: str, number: int, error: Malformed) -> None:
    """Refuse a file that ends in the middle of a row: nobody knows how much is missing."""
    # Zeros are what a crash leaves of a file that was being written.
    if not line.endswith(b"\n") and (isinstance(error, Unfinished) or line.endswith(b"\0")):
        raise UserError(
            f"{where}, line {number} {error}: the file ends in the middle of this row, so it is cut off; get it anew, "
            "or take that line away if nothing else is missing."
        )


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
        raise Malformed(NOT_UTF8) from None
    except json.JSONDecodeError as error:
        cut = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")
        raise (Unfinished if cut else Malformed)(f"is not JSON ({error})") from None
    except (ValueError, RecursionError) as error:
        raise Malformed(f"is not JSON ({error})") from None


def unreadable(path: Path, error: Exception, advice: str = ADVICE) -> UserError:
    """What to raise when a file or folder of a source cannot be read."""
    reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    return _unreadable(path, reason, advice)


def _unreadable(where: Path | str, reason: str, advice: str) -> UserError:
    return UserError(f"{where} cannot be read: {reason}; {advice}.")
