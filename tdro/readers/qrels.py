"""Relevance judgements line by line: one rule for training tasks and benchmarks, BEIR's files and TREC's.

These lines mean the same, and a file may begin with a header of any names::

    q1<TAB>d7<TAB>1        BEIR
    "q1"<TAB>"d7"<TAB>1.0  quoted, as tables are exported
    q1 0 d7 1              TREC, whose second column nobody uses
"""

import re
from typing import NamedTuple

from tdro.readers.fields import unquoted
from tdro.readers.files import Malformed, text_of

_GRADE = re.compile(r"[-+]?\d{1,9}(\.0*)?")
_NAME = re.compile(r"[^\W\d_][\w .-]*")
# Words in the place of a grade; any other word there makes the first line a header.
_WORDS = {"yes", "no", "y", "n", "true", "false", "none", "null", "nan", "inf", "infinity", "relevant", "irrelevant"}


class Judgement(NamedTuple):
    """How relevant a passage is to a query; above 0 it is relevant."""

    query: str
    passage: str
    grade: int


class Judgements:
    """Reads the lines of one file, in their order."""

    def __init__(self) -> None:
        self._header: list[str] | None = None
        self._started = False

    def __call__(self, number: int, line: bytes) -> Judgement | None:
        """The judgement of a line, None for a blank one or a header (also one that comes again in joined files).

        Raises:
            Malformed: for a line that is neither.
        """
        cells = _cells(line)
        if not cells:
            return None
        if not self._started and _is_header(cells):
            self._header = cells
        self._started = True
        if cells == self._header:
            return None
        if len(cells) not in (3, 4) or not all(cells):
            raise Malformed("is neither `query-id<TAB>passage-id<TAB>grade` nor `query-id 0 passage-id grade`")
        return Judgement(cells[0], cells[-2], whole(cells[-1]))


def whole(grade: str | float) -> int:
    """A grade as trec_eval takes it.

    Raises:
        Malformed: when it is no whole number.
    """
    if not _GRADE.fullmatch(str(grade)):
        raise Malformed(f"has the grade {grade!r}; expected a whole number such as 1 or 1.0")
    return int(str(grade).partition(".")[0])


def _cells(line: bytes) -> list[str]:
    text = text_of(line).strip()
    cells = text.split("\t")
    if len(cells) not in (3, 4):
        cells = text.split()
    return [unquoted(cell.strip()).strip() for cell in cells]


def _is_header(cells: list[str]) -> bool:
    last = cells[-1]
    return len(cells) in (3, 4) and bool(_NAME.fullmatch(last)) and last.lower() not in _WORDS
