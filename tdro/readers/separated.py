"""CSV and TSV: records of lines with separators, each behind its place.

A row of CSV may run over several lines, where a quote holds it together. A quote that is never closed therefore takes
in the rows behind it, nobody knows how many, until another quote ends it or the file does: such a file is refused.
"""

import csv
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tdro.errors import UserError
from tdro.readers.cells import require
from tdro.readers.files import Malformed, TooLong, check_length, lines, unreadable
from tdro.readers.records import Placed

_LOG = logging.getLogger(__name__)

#: A cell longer than this, in characters, is a quote that was never closed.
LONGEST_CELL = 1 << 24

_MENDING = 'close it, or write a quote inside of a cell twice (`""`)'
_TOOK_ROWS = "holds what looks like rows; is a quote missing?"
_IN_QUOTES = "keeps the quotes around it, which TSV does not know; if they should go, write CSV"
# What the library's words mean.
_MEANING = {
    "field larger than field limit": f"it has a cell of more than {LONGEST_CELL} characters",
    "expected after": "a quote stands inside of a cell, where it must be written twice",
    "new-line character seen": "it holds a CR (carriage return) where no line ends",
}


def of_separated(path: Path, names: list[str], delimiter: str) -> Iterator[Placed]:
    """Records of CSV, or of TSV, where a tab always ends a cell and a line always a row.

    Raises:
        UserError: for a file without a column of ``names``, or when a quote is not closed.
    """
    return _Table(path, delimiter).records(names)


class _Table:
    """One file, read once."""

    def __init__(self, path: Path, delimiter: str) -> None:
        csv.field_size_limit(LONGEST_CELL)
        self._path, self._delimiter = path, delimiter
        self._long: TooLong | None = None
        self._ended = True
        self._quotes = delimiter != "\t"
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self._quotes else csv.QUOTE_NONE
        self._reader = csv.reader(self._decoded(), strict=True, delimiter=delimiter, quoting=quoting)
        self._header: list[str] = []
        self._odd: dict[str, tuple[int, int]] = {}

    def records(self, names: list[str]) -> Iterator[Placed]:
        """Records that are not blank; an empty file has none."""
        try:
            self._header = next(filter(None, self._reader), [])
        except csv.Error as error:
            raise unreadable(self._path, _meaning(error)) from None
        if self._header:
            require(self._path, names, self._header)
        while (record := self._next()) is not None:
            line, found = record
            if isinstance(found, dict):
                self._note(line, list(found.values()))
            yield f"{self._path}, line {line}", found
        for problem, (line, rows) in self._odd.items():
            _LOG.warning("%s, line %d: a cell %s (%d such rows)", self._path, line, problem, rows)

    def _note(self, line: int, cells: list[str]) -> None:
        """Count a row whose cells are odd, though they may be meant."""
        for problem, is_odd in ((_TOOK_ROWS, self._took_rows), (_IN_QUOTES, self._in_quotes)):
            if any(map(is_odd, cells)):
                first, rows = self._odd.get(problem, (line, 0))
                self._odd[problem] = first, rows + 1

    def _decoded(self) -> Iterator[str]:
        """Lines; bytes that are not UTF-8 are carried through, to be found in their row."""
        for number, line in enumerate(lines(self._path)):
            self._ended = line.endswith(b"\n")
            if isinstance(line, TooLong):
                self._long = line
            yield line.decode("utf-8" if number else "utf-8-sig", "surrogateescape")

    def _next(self) -> tuple[int, dict | Malformed] | None:
        """The line on which the next row starts, and the row."""
        while True:
            start, self._long = self._reader.line_num + 1, None
            try:
                cells = next(self._reader)
            except StopIteration:
                return None
            except csv.Error as error:
                self._check_quotes(start, error)
                return start, self._malformed(f"is not a row: {_meaning(error)}")
            if len(cells) == len(self._header) and self._long is None:
                return start, dict(zip(self._header, cells, strict=True))
            if cells:
                problem = f"has {len(cells)} cells, expected the {len(self._header)} of the header"
                self._check_end(start, len(cells), problem)
                return start, self._malformed(problem)

    def _malformed(self, problem: str) -> Malformed:
        try:
            check_length(self._long or b"")
        except Malformed as error:
            return error
        return Malformed(problem)

    def _check_quotes(self, start: int, error: csv.Error) -> None:
        """Refuse a file where a quote took in more than its own line, or the end."""
        end = self._reader.line_num
        if "end of data" in str(error):
            raise UserError(
                f"{self._path}, line {start}: a quote opens in this row and is not closed until the end of the file, "
                f"line {end}; {_MENDING}, or get the file anew if it is cut off."
            )
        if end > start:
            raise UserError(
                f"{self._path}, line {start}: a quote that opens in this row takes in {end - start} more lines, up to "
                f"line {end}, where {_meaning(error)}; rows from line {start} on cannot be told apart: {_MENDING}."
            )

    def _check_end(self, start: int, cells: int, problem: str) -> None:
        """Refuse a row of several lines with too many or too few cells, and a file that ends in the middle of one."""
        end = self._reader.line_num
        if end > start:
            raise UserError(
                f"{self._path}, line {start}: the row that starts here and ends on line {end} {problem}; see whether a "
                f"quote is missing: {_MENDING}."
            )
        if not self._ended and cells < len(self._header):
            raise UserError(
                f"{self._path}, line {start} {problem}: the file ends in the middle of this row, so it is cut off; get "
                "it anew, or take that line away if nothing else is missing."
            )

    def _took_rows(self, cell: str) -> bool:
        """Whether a cell's lines have as many separators as rows do."""
        separators = len(self._header) - 1
        inner = cell.split("\n")[1:-1] if separators else []
        return len(inner) > 1 and all(line.count(self._delimiter) == separators for line in inner)

    def _in_quotes(self, cell: str) -> bool:
        """Whether a cell has kept quotes that another program meant to hold it together."""
        return not self._quotes and len(cell) > 1 and cell[0] == cell[-1] == '"'


def _meaning(error: csv.Error) -> str:
    return next((meaning for words, meaning in _MEANING.items() if words in str(error)), str(error))
