"""What a file looks like: parts for a terminal, and the same as JSON; and how much of it was asked for."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import RenderableType

from tdro.errors import UserError

#: Columns where nobody says how wide the screen is.
WIDTH = 120


class Asked(NamedTuple):
    """How much of a file is wanted.

    Attributes:
        rows: Rows to show at most; None: as many as a view thinks fit for a screen.
        row: The only row to show, from 0; None: the first ones.
        drawn: Training rows that a run draws, for passes over each dataset; None: as many as there are.
        whole: Whether texts are shown to their end.
        width: Columns of the screen.
        signs: Whether what colours would say is said by signs.
    """

    rows: int | None = None
    row: int | None = None
    drawn: int | None = None
    whole: bool = False
    width: int = WIDTH
    signs: bool = False

    @property
    def narrow(self) -> bool:
        """Whether the screen has no room for all columns at their best."""
        return self.width < 100

    @property
    def points(self) -> int:
        """Characters of a line over the steps."""
        return 10 if self.narrow else 24

    def bar(self, usual: int) -> int:
        """Characters of a bar."""
        return usual // 2 if self.narrow else usual

    def beside(self, column: int) -> int:
        """How many columns of a width stand behind the names of the lines."""
        return max(1, (self.width - 20) // column)

    def checked(self) -> "Asked":
        """The same, after a look at the numbers.

        Raises:
            UserError: for a number that is too small, or two that exclude each other.
        """
        if self.rows is not None and self.rows < 1:
            raise UserError(f"--rows is {self.rows}; expected the number of rows to show, at least 1.")
        if self.row is not None and self.row < 0:
            raise UserError(f"--row is {self.row}; rows are counted from 0.")
        if self.row is not None and self.rows is not None:
            raise UserError("--row and --rows exclude each other: --row shows one row, --rows the first ones.")
        if self.drawn is not None and self.drawn < 1:
            raise UserError(f"--drawn is {self.drawn}; expected the rows that a training draws, at least 1.")
        return self


class View(NamedTuple):
    """A file as it is shown: what :mod:`rich` prints, and what ``--json`` prints."""

    parts: Sequence[RenderableType]
    content: Any
