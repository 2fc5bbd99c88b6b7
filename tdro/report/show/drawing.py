"""Bars, lines of figures and tables out of characters."""

import math
from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = "▁▂▃▄▅▆▇█"
#: What stands for these characters where the output is not in UTF-8.
ASCII = str.maketrans(
    dict(zip(_EIGHTHS[1:], "   ####", strict=True))
    | dict(zip(_LEVELS, "_.,-=*##", strict=True))
    | {"█": "#", "─": "-", "━": "-", "│": "|", "…": "...", "·": "-", "→": "->", "×": "x", "∅": "-", "•": "*"}
)


def bar(share: float, width: int) -> str:
    """A bar of ``share`` of ``width`` characters, to an eighth of a character."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def sparkline(values: Sequence[float | None], low: float | None = None, high: float | None = None) -> str:
    """A character a value, from the lowest to the highest; a gap where there is none.

    Args:
        values: Figures in order; None and NaN are gaps.
        low: What the lowest level stands for; None: the lowest value.
        high: What the highest stands for; None: the highest value.
    """
    known = [value for value in values if value is not None and not math.isnan(value)]
    if not known:
        return ""
    low, high = min(known) if low is None else low, max(known) if high is None else high
    return "".join(_level(value, low, high) for value in values)


def binned(values: Sequence[float | None], most: int = 24) -> list[float | None]:
    """At most ``most`` means of neighbours; None where no value is known."""
    width = max(1, -(-len(values) // most))
    return [_mean(values[start : start + width]) for start in range(0, len(values), width)]


def table(*headings: str, left: Iterable[str] = (), drawn: Iterable[str] = ()) -> Table:
    """An empty table.

    Args:
        headings: Of the columns. The first column is flush left, as are bars, and figures are flush right.
        left: Headings of further columns that are flush left.
        drawn: Headings of columns that hold lines or bars, which are flush left and never folded; a column without a
            heading is one.
    """
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for number, heading in enumerate(headings):
        line = not heading or heading in drawn
        flush_left = number == 0 or line or heading in left
        made.add_column(
            heading,
            justify="left" if flush_left else "right",
            overflow="crop" if line else "fold",
            no_wrap=line,
        )
    return made


def heading(text: str) -> Text:
    """A heading, with an empty line before it."""
    return Text(f"\n{text}", style="bold")


def figure(value: float | None, digits: int = 4) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _level(value: float | None, low: float, high: float) -> str:
    if value is None or math.isnan(value):
        return " "
    share = (value - low) / (high - low) if high > low else 0.5
    return _LEVELS[min(len(_LEVELS) - 1, max(0, int(share * len(_LEVELS))))]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and not math.isnan(value)]
    return sum(known) / len(known) if known else None
