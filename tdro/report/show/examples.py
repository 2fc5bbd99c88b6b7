"""Examples as people read them: a query, what answers it, what does not, with scores; one way for all files."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tdro.report.show.view import Asked

#: What a text is in an example; a word and a colour of each.
QUERY, PROMPT, POSITIVE, NEGATIVE, PASSAGE = "query", "prompt", "positive", "negative", "passage"
ANSWER, FOUND = "answer", "found"
_STYLES = {
    QUERY: "bold cyan",
    PROMPT: "magenta",
    POSITIVE: "green",
    NEGATIVE: "red",
    PASSAGE: "",
    ANSWER: "green",
    FOUND: "yellow",
}
# Characters of a text on a terminal, unless all of it is asked for.
_SHORT = 280
# Passages of one sort in an example, unless the example alone is asked for.
_PASSAGES = 5


class Line(NamedTuple):
    """A text of an example.

    Attributes:
        is_a: What it is: ``QUERY``, ``POSITIVE``, ...
        text: None where it is not at hand.
        row: Its row in the file of queries or passages; None where it has none.
        score: What a model gives it; None where it has none.
        note: Said behind it.
    """

    is_a: str
    text: str | None
    row: int | None = None
    score: float | None = None
    note: str = ""


class Example(NamedTuple):
    """Some texts that belong together.

    Attributes:
        name: Its heading.
        lines: The texts.
        more: How many are left out, by what they are.
        how: How to see those.
    """

    name: str
    lines: list[Line]
    more: dict[str, int]
    how: str = "--row K shows all of one row"

    def content(self) -> dict[str, Any]:
        """As JSON has it."""
        said = [{key: value for key, value in line._asdict().items() if value not in (None, "")} for line in self.lines]
        return {"name": self.name, "texts": said, **({"left_out": self.more} if self.more else {})}


def some(rows: Sequence[int], asked: Asked) -> Sequence[int]:
    """The first few of an example's passages; all of them where the example alone is asked for."""
    return rows if asked.row is not None else rows[:_PASSAGES]


def passages(
    is_a: str, rows: Sequence[int], texts: dict[int, str], scores: Sequence[float | None] | None = None
) -> list[Line]:
    """Lines of passages by rows, with scores in their order where there are some."""
    given = scores or [None] * len(rows)
    return [Line(is_a, texts.get(row), row, score) for row, score in zip(rows, given, strict=False)]


def drawn(examples: Sequence[Example], asked: Asked) -> list[RenderableType]:
    """The examples below each other."""
    parts: list[RenderableType] = []
    for example in examples:
        parts += [Text(f"\n{example.name}" if example.name else "", style="bold"), _grid(example, asked)]
    return parts


def shortened(text: str, asked: Asked, length: int = _SHORT) -> str:
    """The beginning of a text in one line, or all of it as it is."""
    if asked.whole:
        return text
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"


def _grid(example: Example, asked: Asked) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=8, style="dim")
    grid.add_column(justify="right")
    grid.add_column(overflow="fold", ratio=1)
    for line in example.lines:
        grid.add_row(line.is_a, "" if line.score is None else f"{line.score:.3f}", _text(line, asked))
    for is_a, number in example.more.items():
        grid.add_row(is_a, "", Text(f"{number:,} more; {example.how}", style="dim"))
    return grid


def _text(line: Line, asked: Asked) -> Text:
    there = Text("(its text is not at hand)", style="dim italic")
    said = there if line.text is None else Text(shortened(line.text, asked), style=_STYLES[line.is_a])
    for note in ([] if line.row is None else [f"[{line.row}]"]) + ([line.note] if line.note else []):
        said.append(f"  {note}", style="dim")
    return said
