"""Files opened and read as a stream of lines, and what each line says. Nothing is unpacked to disk.

A line that is no row is a bad row, and reading goes on; where none may be wrong, as in a benchmark, :func:`strict`
refuses the first. No other function knows which of the two its caller wants.
"""

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

# Of a longer line only the beginning is read, which is no row: memory stays bounded whatever the file holds.
_LONGEST_LINE = 1 << 26

#: What reading a broken file or archive raises.
BROKEN = (OSError, EOFError, zlib.error)

#: What is said of bytes that are no text, and what helps.
NOT_UTF8 = "is not UTF-8"
TO_UTF8 = "`iconv -f ENCODING -t UTF-8` makes UTF-8 of a text, where ENCODING is perhaps WINDOWS-1252 or GB18030"

#: What is said of a line that holds another JSON value, and of a file without lines.
NO_OBJECT = "is no JSON object"
EMPTY = "{} is empty; expected one JSON object a line."

#: What a message on a file of a source ends with.
ADVICE = "correct `path` of the source in the registry or get it anew"

Parsed = TypeVar("Parsed")


class Malformed(ValueError):
    """A line is no row. The message goes on a sentence that begins with the line's place."""


class Unfinished(Malformed):
    """A line stops in the middle of a row."""


class TooLong(bytes):
    """The beginning of a line that is longer than any row may be."""


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
        raise unreadable(path, f"its name ends in `gz`, but {found}", advice)
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
        raise unreadable(where, found, advice)
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


def read_lines(path: Path, parse: Callable[[int, bytes], Parsed], advice: str = ADVICE) -> Iterator[Parsed | BadRow]:
    """What ``parse`` makes of each line of a file of text, as :func:`parsed` does."""
    return parsed(lines(path, advice=advice), str(path), parse)


def objects(
    path: Path, parse: Callable[[dict[str, Any]], Parsed], complaint: str = NO_OBJECT, advice: str = ADVICE
) -> Iterator[Parsed | BadRow]:
    """What ``parse`` makes of the JSON object of each line; ``complaint`` is said of a line that is none."""

    def parse_line(number: int, line: bytes) -> Parsed:
        return parse(json_object(line, complaint))

    return parsed(lines(path, json=True, advice=advice), str(path), parse_line)


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


def strict(items: Iterable[Parsed | BadRow], advice: str) -> Iterator[Parsed]:
    """The same items, of which none may be malformed.

    Raises:
        UserError: naming the place of the first that is, and ending with ``advice``.
    """
    for item in items:
        if isinstance(item, BadRow):
            raise UserError(f"{item.place} {item.reason}; {advice}.")
        yield item


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


def some(items: Iterable[Parsed], complaint: str) -> Iterator[Parsed]:
    """The same items.

    Raises:
        UserError: with ``complaint``, at the end of a stream without any.
    """
    empty = True
    for item in items:
        empty = False
        yield item
    if empty:
        raise UserError(complaint)


def text_of(line: bytes, complaint: str = NOT_UTF8) -> str:
    """A line without its end.

    Raises:
        Malformed: with ``complaint``, when it is not UTF-8.
    """
    try:
        return line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise Malformed(complaint) from None


def json_object(line: bytes, complaint: str = NO_OBJECT) -> dict[str, Any]:
    """The JSON object of a line.

    Raises:
        Malformed: with ``complaint``, when it is another value; when it is no JSON.
    """
    value = json_value(line)
    if not isinstance(value, dict):
        raise Malformed(complaint)
    return value


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


def unreadable(where: Path | str, error: Exception | str, advice: str = ADVICE) -> UserError:
    """What to raise when a file or folder of a source cannot be read, for an error or a reason in words."""
    reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    return UserError(f"{where} cannot be read: {reason}; {advice}.")
