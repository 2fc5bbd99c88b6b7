"""Which rows of a source are taken, by the values of their columns: its ``where``.

`{locale: [en, en-GB]}` takes rows whose locale is one of the two. A cell of CSV and a number of JSON are compared by
how they are written, so that `5` is "5", 5 and 5.0; `true` and `false` stand for whatever word YAML reads so, such as
`no`, which may be Norwegian. Of a list it is enough that one item matches, and null matches a cell that is empty or
missing.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from tdro.config.nearest import hint
from tdro.errors import UserError
from tdro.formats import abridged

_LOG = logging.getLogger(__name__)

Item = TypeVar("Item")

# Words that YAML reads as true and false.
_SWITCHES = {True: frozenset(("true", "yes", "on", "y")), False: frozenset(("false", "no", "off", "n"))}
# Distinct values of a column that are counted, and those that a message shows.
_COUNTED, _SHOWN = 1000, 8


class Where:
    """Tells the rows that are taken, and remembers what it saw.

    Args:
        wanted: For each column the values that it may have.
        source: What is read, for messages.
    """

    def __init__(self, wanted: Mapping[str, Iterable[Any]], source: str) -> None:
        self._wanted = {column: [*values] for column, values in wanted.items()}
        self._source = source
        self._rows = self._taken = 0
        self._seen: dict[str, Counter] = {column: Counter() for column in wanted}
        # For each column, places of the values that some row has.
        self._met: dict[str, set[int]] = {column: set() for column in wanted}
        self._keys: dict[str, None] = {}

    @property
    def columns(self) -> list[str]:
        """The columns that are compared."""
        return [*self._wanted]

    def takes(self, record: Any) -> bool:
        """Whether a record is taken; one that has no keys, as a list, has none of the columns."""
        if not self._wanted:
            return True
        cells = record if isinstance(record, Mapping) else {}
        self._rows += 1
        if len(self._keys) < _COUNTED:
            self._keys.update(dict.fromkeys(map(str, cells)))
        matches = [self._matches(column, cells.get(column)) for column in self._wanted]
        self._taken += all(matches)
        return all(matches)

    def through(self, items: Iterable[Item | None]) -> Iterator[Item]:
        """What is taken of ``items``, in which None stands for a row that is not.

        Raises:
            UserError: at their end, when no row was taken, with the values that were seen.
        """
        for item in items:
            if item is not None:
                yield item
        if self._rows and not self._taken:
            raise UserError(self._none())
        for column, wanted in self._wanted.items():
            unmet = [value for place, value in enumerate(wanted) if place not in self._met[column]]
            if self._rows and unmet:
                _LOG.warning(
                    "%s: no row has %s in `%s`, which `where` asks for; %s",
                    *(self._source, _listed(unmet), column, self._has(column)),
                )

    def _matches(self, column: str, value: Any) -> bool:
        told = [_told(item) for item in value] if isinstance(value, list) else [_told(value)]
        seen = self._seen[column]
        for text in told:
            if text in seen or len(seen) < _COUNTED:
                seen[text] += 1
        matching = [at for at, wanted in enumerate(self._wanted[column]) if any(_is(text, wanted) for text in told)]
        self._met[column].update(matching)
        return bool(matching)

    def _none(self) -> str:
        """The sentence on a source of which no row is taken."""
        unmet = [column for column in self._wanted if not self._met[column]]
        found = f"{self._source}: `where` takes none of {self._rows:,} rows"
        if not unmet:
            return f"{found}: each of {abridged(self.columns, _SHOWN)} matches some rows, but no row matches all."
        asked = "; ".join(
            f"it asks for {_listed(self._wanted[column])} in `{column}`, and {self._has(column)}" for column in unmet
        )
        return f"{found}: {asked}. Correct `where` of the source in the registry."

    def _has(self, column: str) -> str:
        """What a column holds."""
        if column not in self._keys:
            return (
                f"no row has the key {column!r}{hint(column, self._keys)}; they have {', '.join(self._keys) or 'none'}"
            )
        seen = self._seen[column]
        shown = ", ".join(f"{_shown(text)} ({number:,})" for text, number in seen.most_common(_SHOWN))
        more = (
            f" and {'at least ' * (len(seen) == _COUNTED)}{len(seen) - _SHOWN:,} others" if len(seen) > _SHOWN else ""
        )
        meant = next((hint(str(value), filter(None, seen)) for value in self._wanted[column]), "")
        return f"the column has {shown}{more}{meant}"


#: Takes every row.
ALL = Where({}, "")


def _told(value: Any) -> str | None:
    """How a value is written; None for no value."""
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _is(text: str | None, wanted: Any) -> bool:
    """Whether a cell that is written so is what is wanted."""
    if isinstance(wanted, bool):
        return text is not None and text.lower() in _SWITCHES[wanted]
    return text == _told(wanted)


def _shown(text: str | None) -> str:
    return "nothing" if text is None else repr(text)


def _listed(values: Iterable[Any]) -> str:
    return " or ".join(_shown(_told(value)) for value in values)
