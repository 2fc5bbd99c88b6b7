"""Cells of a table: which column is what, and what counts as a text in it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tdro.config.nearest import hint
from tdro.config.registry import Columns
from tdro.config.templates import Piece, pieces
from tdro.errors import UserError
from tdro.readers.base import Passage, Row
from tdro.readers.fields import optional
from tdro.readers.files import NOT_UTF8, Malformed

# What `surrogateescape` makes of a byte that is not UTF-8.
_ESCAPED = re.compile("[\udc80-\udcff]")
_SEPARATORS = {"\t": "tabs", ";": "`;`", "|": "`|`", ",": "commas"}


def require(path: Path, names: list[str], has: Sequence[str]) -> list[str]:
    """The columns ``names`` of a file that ``has`` them.

    Raises:
        UserError: when one is missing or there twice.
    """
    for name in names:
        if name not in has:
            raise UserError(
                f"{path} has no column {name!r}{hint(name, has)}; it has {', '.join(has) or 'none'}. "
                f"{_advice(has) or 'Correct `columns` of the source in the registry.'}"
            )
        if has.count(name) > 1:
            raise UserError(f"{path} has {has.count(name)} columns {name!r}; give each a name of its own.")
    return names


def _advice(has: Sequence[str]) -> str:
    """What to do where a header shows that a file is no table, or separated by something else."""
    if len(has) and has[0].lstrip().startswith(("{", "[")):
        return "Its first line is JSON: let its name end in `.jsonl`."
    found = next((separator for separator in _SEPARATORS if len(has) == 1 and separator in has[0]), None)
    return f"Its cells are separated by {_SEPARATORS[found]}: `.csv` has commas, `.tsv` tabs." if found else ""


def row_of(record: dict[str, Any], columns: Columns) -> Row:
    """The row that a record holds.

    Raises:
        Malformed: when a cell holds something else than text.
    """
    query = [_text(item, columns.query) for item in _items(record, columns.query)]
    if len(query) != 1:
        raise Malformed(f"has {len(query)} queries in column {columns.query!r}, expected one string")
    positives = _passages(record, columns.positive)
    if columns.title:
        positives = _titled(positives, record, columns.title)
    negatives = _passages(record, columns.negatives) if columns.negatives else []
    return Row(query[0], positives, negatives, _identifier(record, columns.query_id))


def _titled(positives: list[Passage], record: dict[str, Any], column: str) -> list[Passage]:
    titles = [_title(item, column) for item in _items(record, column)]
    if len(titles) not in (1, len(positives)):
        raise Malformed(f"has {len(titles)} titles in column {column!r} for {len(positives)} positives")
    titles = titles * len(positives) if len(titles) == 1 else titles
    return [passage._replace(title=title) for passage, title in zip(positives, titles, strict=True)]


def _passages(record: dict[str, Any], column: str) -> list[Passage]:
    return [_passage(item, column) for item in _items(record, column)]


def _items(record: dict[str, Any], column: str) -> list:
    """What a column holds, or what a template makes of several, as a list."""
    parts = pieces(column)
    return _listed(record[column]) if parts is None else _filled(record, parts)


def _filled(record: dict[str, Any], parts: Sequence[Piece]) -> list[str]:
    """The texts of a template: one, or, where columns hold lists, as many as these have items.

    Where all of its columns are empty, so is the text.
    """
    cells = {name: [_title(item, name) for item in _listed(record[name])] for name, is_column in parts if is_column}
    lengths = {name: len(items) for name, items in cells.items() if isinstance(record[name], list)}
    if len({*lengths.values()}) > 1:
        raise Malformed(f"has lists of different lengths ({', '.join(f'{n}: {k}' for n, k in lengths.items())})")
    filled = []
    for place in range(next(iter(lengths.values()), 1)):
        here = {name: items[place if name in lengths else 0] for name, items in cells.items()}
        text = "".join(here[piece] if is_column else piece for piece, is_column in parts)
        filled.append(text.strip() if any(map(str.strip, here.values())) else "")
    return filled


def _passage(item: Any, column: str) -> Passage:
    """A passage, which may be an object, as in Tevatron's data sets."""
    if not isinstance(item, dict):
        return Passage(_text(item, column))
    if not isinstance(item.get("text"), str | bytes):
        raise Malformed(
            f"has an object in column {column!r} without a string `text` (it has {', '.join(map(str, item))}); make a "
            "column of strings of what is meant"
        )
    return Passage(_text(item["text"], column), _title(item.get("title"), column), _identifier(item, "docid"))


def _listed(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def _title(item: Any, column: str) -> str:
    """A title, which may be a number."""
    return _text(item, column) if item is None or isinstance(item, str | bytes) else optional({column: item}, column)


def _identifier(record: dict[str, Any], column: str | None) -> str | None:
    if column and pieces(column):
        return " ".join(_items(record, column)) or None
    value = record.get(column) if column else None
    return None if value is None else _text(value if isinstance(value, bytes) else str(value), column)


def _text(item: Any, column: str) -> str:
    """A text, null as an empty one. Bytes are what Spark and Impala write for texts."""
    if item is None:
        return ""
    if isinstance(item, bytes):
        item = item.decode("utf-8", "surrogateescape")
    if not isinstance(item, str):
        raise Malformed(f"has {type(item).__name__} in column {column!r}, expected a string or a list of strings")
    if not item.isascii() and _ESCAPED.search(item):
        raise Malformed(f"{NOT_UTF8} in column {column!r}")
    return item
