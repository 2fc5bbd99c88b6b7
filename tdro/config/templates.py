"""Templates of columns: `{title} {body}`, which may stand wherever a column is named.

What stands between braces is the name of a column, whatever letters it has (`{Question body}`); `{{` and `}}` are
braces. A name without any brace is that of one column, which is then taken as it is.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

_PIECE = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<column>[^{}]*)\}|(?P<lone>[{}])|(?P<letters>[^{}]+)")


class Piece(NamedTuple):
    """A part of a template: the name of a column, or letters that stay as they are."""

    text: str
    is_column: bool


@cache
def pieces(named: str) -> tuple[Piece, ...] | None:
    """The parts of a template; None for the plain name of a column.

    Raises:
        ValueError: for a brace without its partner, braces around nothing, or a template that names no column.

    Example:
        >>> [piece.text for piece in pieces("{title}: {body}")]
        ['title', ': ', 'body']
    """
    if "{" not in named and "}" not in named:
        return None
    found = []
    for piece in _PIECE.finditer(named):
        column, lone = piece["column"], piece["lone"]
        if lone:
            raise ValueError(
                f"the template {named!r} has a `{lone}` without its partner; write {{column}}, or `{lone}{lone}` for "
                "the brace itself"
            )
        if column is not None and not column.strip():
            raise ValueError(f"the template {named!r} has braces around nothing; write the name of a column in them")
        found.append(Piece(column or piece["letters"] or piece["brace"][0], is_column=column is not None))
    if not any(piece.is_column for piece in found):
        raise ValueError(f"the template {named!r} names no column; write it in single braces: {{column}}")
    return tuple(found)


def checked(named: str) -> str:
    """The same; raises ValueError: as :func:`pieces`."""
    pieces(named)
    return named


def columns_of(named: Iterable[str | None]) -> list[str]:
    """The columns that names and templates stand for, each once; None stands for none."""
    found: dict[str, None] = {}
    for name in filter(None, named):
        parts = pieces(name)
        found.update(dict.fromkeys([name] if parts is None else [part.text for part in parts if part.is_column]))
    return list(found)
