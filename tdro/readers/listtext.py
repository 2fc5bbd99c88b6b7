"""Lists that were written as text: `['a', 'b']` in a cell, as pandas writes a list to CSV.

Such a cell would count as one passage. A file where every row has one is refused; where some rows do they may be what
they seem, as in a task about code, and are told of.
"""

import ast
import logging
from collections.abc import Iterable, Iterator

from tdro.errors import UserError
from tdro.readers.base import BadRow, Passage, Row

_LOG = logging.getLogger(__name__)

#: Rows after which it is decided whether a file holds nothing else.
FIRST_ROWS = 20
_SHOWN = 60


def refuse_lists_as_text(items: Iterable[Row | BadRow | None], where: str) -> Iterator[Row | BadRow | None]:
    """The same items.

    Args:
        items: what a file holds.
        where: its name.

    Raises:
        UserError: when all of the first rows, or all there are, have a list as text for a passage.
    """
    rows, listed, example = 0, 0, ""
    for item in items:
        if isinstance(item, Row):
            rows += 1
            if found := _list_as_text(item):
                listed, example = listed + 1, example or found
            if rows == FIRST_ROWS:
                _refuse(where, rows, listed, example)
        yield item
    if rows < FIRST_ROWS:
        _refuse(where, rows, listed, example)
    if listed:
        _LOG.warning(
            "%s: %d of %d rows have a list written as text for one passage, such as %s", where, listed, rows, example
        )


def _refuse(where: str, rows: int, listed: int, example: str) -> None:
    if rows and rows == listed:
        raise UserError(
            f"{where} holds lists written as text, each of which would be one passage, such as {example}; write JSON "
            "lines or Parquet, which hold lists (in pandas: `to_json(PATH, orient='records', lines=True)`)."
        )


def _list_as_text(row: Row) -> str:
    """The beginning of a passage that is a list of strings as Python or NumPy prints it."""
    for passage in (*row.positives, *row.negatives):
        text = passage.text.strip() if isinstance(passage, Passage) else ""
        if text.startswith(("['", '["')) and text.endswith(("']", '"]')) and _is_list(text):
            return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return ""


def _is_list(text: str) -> bool:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
