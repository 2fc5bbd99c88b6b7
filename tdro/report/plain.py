"""Text and tables for the terminal: plain ASCII of a fixed width, whatever the terminal."""

from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table

_WIDTH = 120


def plain_table() -> Table:
    """An empty table with ASCII lines."""
    return Table(box=box.ASCII2)


def plain(*parts: str | Table) -> str:
    """The parts below each other, at most 120 columns wide."""
    output = StringIO()
    console = Console(
        file=output, width=_WIDTH, color_system=None, force_terminal=False, markup=False, emoji=False, highlight=False
    )
    for part in parts:
        console.print(part)
    return output.getvalue()
