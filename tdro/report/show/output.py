"""Prints a view: in colours and through a pager on a terminal, as plain and whole text elsewhere, or as JSON."""

import json
import math
import os
import sys
from collections.abc import Sequence
from io import StringIO
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult

from tdro.formats import visible
from tdro.report.show.drawing import ASCII
from tdro.report.show.view import WIDTH, View


def is_terminal() -> bool:
    """Whether a person reads the output as it comes."""
    return sys.stdout.isatty()


def has_colours() -> bool:
    """Whether the output shows colours: a terminal that knows some, without ``NO_COLOR``."""
    console = Console()
    return is_terminal() and console.color_system is not None and not console.no_color


def width() -> int:
    """Columns of the output."""
    return Console().width if is_terminal() else WIDTH


def put(view: View, *, as_json: bool, paged: bool = True) -> None:
    """Print a view.

    Args:
        view: What to print.
        as_json: Whether to print its content for programs.
        paged: Whether what is higher than the terminal goes through a pager (``$PAGER``, else ``less``).
    """
    if as_json:
        print(json.dumps(_plain_values(view.content), ensure_ascii=not _unicode(), indent=2))
    elif is_terminal():
        _on_terminal(view, paged)
    else:
        sys.stdout.write(_encodable(plain(view)))


def plain(view: View) -> str:
    """A view without colours, 120 columns wide."""
    out = StringIO()
    console = Console(
        file=out, width=WIDTH, color_system=None, force_terminal=False, markup=False, emoji=False, highlight=False
    )
    console.print(_Visible(view.parts))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "\n".join(lines).strip("\n") + "\n"


class _Visible:
    """Parts below each other, in whose texts nothing is obeyed by the terminal but what is ours."""

    def __init__(self, parts: Sequence[RenderableType]) -> None:
        self._whole = Group(*parts)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._whole, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def _on_terminal(view: View, paged: bool) -> None:
    console = Console(markup=False, emoji=False, highlight=False)
    everything = _Visible(view.parts)
    if not paged or len(console.render_lines(everything)) < console.height:
        console.print(everything)
        return
    os.environ.setdefault("LESS", "-FRX")  # colours, and no more than a screen without a key
    with console.pager(styles=console.color_system is not None):
        console.print(everything)


def _unicode() -> bool:
    return "utf" in (sys.stdout.encoding or "").lower()


def _encodable(text: str) -> str:
    """A text that the output can write: bars of ASCII where it must be, and a question mark for other letters."""
    if _unicode():
        return text
    encoding = sys.stdout.encoding or "ascii"
    return text.translate(ASCII).encode(encoding, "replace").decode(encoding)


def _plain_values(value: Any) -> Any:
    """What JSON can say: no number that is none."""
    if isinstance(value, dict):
        return {str(key): _plain_values(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_values(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
