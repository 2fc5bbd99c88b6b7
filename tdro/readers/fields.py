"""What counts as text in a file of an exchange format: a key of a JSON object, a cell of a table.

One rule for every reader: a title ``1984`` that a program wrote as a number is the text "1984", null is no text,
and a list or an object is a mistake.
"""

from collections.abc import Mapping
from typing import Any

from tdro.readers.base import Passage
from tdro.readers.files import Malformed
from tdro.text.strings import encodable

_NAMES = {list: "a list", tuple: "a list", dict: "an object", bool: "true or false"}


def optional(record: Mapping[str, Any], key: str) -> str:
    """The text of a key; empty where it is missing, null or not a number (NaN).

    Raises:
        Malformed: for a list, an object, true or false.
    """
    value = record.get(key)
    if isinstance(value, str):
        return encodable(value)
    if value is None or value != value:  # NaN is what tables write for null
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        kind = _NAMES.get(type(value), type(value).__name__)
        raise Malformed(f"has {kind} under `{key}`; expected a string")
    return str(value)


def required(record: Mapping[str, Any], key: str) -> str:
    """The text of a key, which may be empty but must be there.

    Raises:
        Malformed: when it is missing, null or no text.
    """
    text = optional(record, key)
    if not text and not isinstance(record.get(key), str):
        raise Malformed(f"has no string `{key}`")
    return text


def identifier(record: Mapping[str, Any], key: str) -> str:
    """An identifier, without white space around it.

    Raises:
        Malformed: when it is missing, empty or no text.
    """
    found = required(record, key).strip()
    if not found:
        raise Malformed(f"has an empty `{key}`")
    return found


def passage_of(record: Mapping[str, Any], key: str = "_id") -> Passage:
    """A passage out of an object with ``text``, perhaps ``title``, and its identifier under ``key``.

    Raises:
        Malformed: when one is missing or no text.
    """
    passage_id = identifier(record, key)
    return Passage(required(record, "text"), optional(record, "title"), passage_id)


def unquoted(cell: str) -> str:
    """A cell without the double quotes of CSV around it."""
    quoted = len(cell) > 1 and cell.startswith('"') and cell.endswith('"')
    return cell[1:-1].replace('""', '"') if quoted else cell
