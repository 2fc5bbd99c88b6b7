"""Your own data and the common exchange formats: JSON lines, plain or gzipped.

The path is a file, a folder of parts or a pattern; parts are read in the order of their names.

A line is one of these, in any mixture::

    {"query": "...", "positive": "one passage", "negatives": ["another", {"title": "T", "text": "..."}]}
    ["query", "positive"]
    ["query", "positive", "negative"]
    {"set": ["text", "equivalent text", "another one"]}

The passages may stand under ``positive``, ``positives``, ``pos`` or ``positive_passages`` (and
likewise for the negatives): a string, which is one passage, an object with ``text`` and perhaps
``title`` and ``docid``, or a list of these. That covers the lines of
``sentence-transformers/embedding-training-data`` (pairs, triplets, ``query`` with ``pos`` and
``neg``, sets) and those of Tevatron.

A set holds equivalent texts. Its first text becomes the query and all others are its positives: one
row a set, so that its size counts once, and no text of it can be mined as a negative of that query.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tdro.readers.base import BadRow, Passage, Row, Split
from tdro.readers.files import Malformed, json_value, lines, parsed
from tdro.readers.listtext import refuse_lists_as_text
from tdro.readers.parts import chained, find
from tdro.readers.where import ALL, Where

_POSITIVES = ("positive", "positives", "pos", "positive_passages")
_NEGATIVES = ("negative", "negatives", "neg", "negative_passages")


#: Endings of the parts.
ENDINGS = (".jsonl", ".jsonl.gz")


def read(path: Path, split: Split, where: Where = ALL) -> Iterator[Row | BadRow | None]:
    """Yield a row a line, None for one that ``where`` does not take; the files are one split.

    Raises:
        UserError: when there is no file, or for one that is broken, and when all are empty.
    """
    found = find(path, ENDINGS)
    yield from chained(found, lambda part: rows_of(lines(part, json=True), str(part), where), path)


def rows_of(stream: Iterable[bytes], place: str, where: Where) -> Iterator[Row | BadRow | None]:
    """Rows of JSON lines, None for those that are not taken; blank lines are skipped.

    Args:
        stream: the lines.
        place: name of their file, for messages.
        where: which are taken.
    """

    def parse(number: int, line: bytes) -> Row | None:
        value = json_value(line)
        return _row(value) if where.takes(value) else None

    yield from refuse_lists_as_text(parsed(stream, place, parse), place)


def is_row(value: Any) -> bool:
    """Whether a value is one of the forms that this reader knows."""
    try:
        return bool(_row(value))
    except Malformed:
        return False


def _row(value: Any) -> Row:
    if isinstance(value, list):
        value = dict(zip(("query", "positive", "negative"), value, strict=False)) if 2 <= len(value) <= 3 else {}
    if isinstance(value, dict) and "set" in value:
        value = _set(value["set"])
    if not isinstance(value, dict) or not isinstance(value.get("query"), str):
        raise Malformed("has no query: expected an object with the string `query`, a `set`, or [query, positive]")
    positives = _passages(value, _POSITIVES)
    if not positives:
        raise Malformed(f"has no positive: expected {' or '.join(f'`{key}`' for key in _POSITIVES)}")
    query_id = value.get("query_id")
    return Row(value["query"], positives, _passages(value, _NEGATIVES), None if query_id is None else str(query_id))


def _set(texts: Any) -> dict:
    if not isinstance(texts, list) or len(texts) < 2 or not all(isinstance(text, str) for text in texts):
        raise Malformed("has a `set` that is no list of two or more strings")
    return {"query": texts[0], "positives": texts[1:]}


def _passages(row: dict, keys: tuple[str, ...]) -> list[Passage]:
    found = next((row[key] for key in keys if row.get(key) is not None), [])
    return [_passage(item) for item in (found if isinstance(found, list) else [found])]


def _passage(value: Any) -> Passage:
    if isinstance(value, str):
        return Passage(value)
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        identifier = value.get("docid")
        return Passage(value["text"], str(value.get("title") or ""), None if identifier is None else str(identifier))
    raise Malformed("has a passage that is neither a string nor an object with the string `text`")
