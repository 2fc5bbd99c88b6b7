"""Your own data: a file of JSON lines, plain or gzipped, read as a stream.

A line is an object with ``query`` and its passages::

    {"query": "...", "positive": "one passage", "negatives": ["another", {"title": "T", "text": "..."}]}

or a list ``[query, positive]`` or ``[query, positive, negative]``. The passages may stand under
``positive``, ``positives``, ``pos`` or ``positive_passages`` (and likewise for the negatives): a
string, which is one passage, an object with ``text`` and perhaps ``title``, or a list of these.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tdro.errors import UserError
from tdro.sources import Passage, Row, Split

_POSITIVES = ("positive", "positives", "pos", "positive_passages")
_NEGATIVES = ("negative", "negatives", "neg", "negative_passages")


def read(path: Path, split: Split) -> Iterator[Row]:
    """Yield a row a line; the file is one split.

    Raises:
        UserError: for a missing or empty file, or a line that is no row, with its number.
    """
    yield from rows_of(lines(path), str(path))


def lines(path: Path) -> Iterator[bytes]:
    """Lines of a file, which is unpacked on the way when its name ends in ``.gz``.

    Raises:
        UserError: when the file cannot be read.
    """
    try:
        with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
            yield from file
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, error) from None


def rows_of(stream: Iterable[bytes], where: str) -> Iterator[Row]:
    """Rows of JSON lines; blank lines are skipped.

    Args:
        stream: the lines.
        where: name of their file, for messages.

    Raises:
        UserError: naming ``where`` and the line, for one that is no row, or when there is none at all.
    """
    empty = True
    for value, place in objects(stream, where):
        empty = False
        yield _row(value, place)
    if empty:
        raise UserError(f"{where} holds no rows; put one JSON object a line into it or correct the path.")


def objects(stream: Iterable[bytes], where: str) -> Iterator[tuple[Any, str]]:
    """The JSON values of a stream of lines, each with its place for messages."""
    for number, line in enumerate(stream, start=1):
        if line.strip():
            place = f"{where}, line {number}"
            try:
                yield json.loads(line), place
            except ValueError as error:
                raise UserError(f"{place} is not JSON ({error}); each line must hold one JSON value.") from None


def unreadable(path: Path, error: Exception) -> UserError:
    """What to raise when a file or folder of a source cannot be read."""
    reason = getattr(error, "strerror", None) or str(error)
    return UserError(f"{path} cannot be read: {reason}; correct `path` of the source in the registry.")


def _row(value: Any, place: str) -> Row:
    if isinstance(value, list):
        value = dict(zip(("query", "positive", "negative"), value, strict=False)) if 2 <= len(value) <= 3 else {}
    if not isinstance(value, dict) or not isinstance(value.get("query"), str):
        raise UserError(f"{place} has no query: expected an object with the string `query`, or [query, positive].")
    positives = _passages(value, _POSITIVES, place)
    if not positives:
        raise UserError(f"{place} has no positive: expected {' or '.join(f'`{key}`' for key in _POSITIVES)}.")
    query_id = value.get("query_id")
    return Row(
        value["query"], positives, _passages(value, _NEGATIVES, place), None if query_id is None else str(query_id)
    )


def _passages(row: dict, keys: tuple[str, ...], place: str) -> list[Passage]:
    found = next((row[key] for key in keys if row.get(key) is not None), [])
    return [_passage(item, place) for item in (found if isinstance(found, list) else [found])]


def _passage(value: Any, place: str) -> Passage:
    if isinstance(value, str):
        return Passage(value)
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        identifier = value.get("docid")
        return Passage(value["text"], str(value.get("title") or ""), None if identifier is None else str(identifier))
    raise UserError(f"{place} has a passage that is neither a string nor an object with the string `text`.")
