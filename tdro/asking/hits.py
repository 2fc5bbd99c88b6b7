"""What `ask` prints: what was found for a query, for people on a terminal and for programs elsewhere; progress."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from tdro.formats import visible
from tdro.progress import Progress

# Lines of a passage on a terminal.
_LINES = 3
# `NN  0.123  ` before them.
_MARGIN = 12


class Hit(NamedTuple):
    """A passage and the cosine of its embedding and the query's."""

    score: float
    text: str
    title: str
    passage_id: str


def table(query: str, hits: Sequence[Hit]) -> str:
    """A line a passage: query, rank, score, identifier and passage, with tabs between them and none inside."""
    return "\n".join(
        "\t".join(_line(str(cell)) for cell in (query, rank, f"{hit.score:.4f}", hit.passage_id, _whole(hit)))
        for rank, hit in enumerate(hits, start=1)
    )


def show(console: Console, hits: Sequence[Hit]) -> None:
    """Ranks, scores and the beginnings of the passages."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", style="dim")
    grid.add_column(style="green")
    grid.add_column(overflow="fold")
    for rank, hit in enumerate(hits, start=1):
        text = Text(_beginning(_line(hit.text), _LINES * max(20, console.width - _MARGIN)))
        if hit.title:
            text = Text.assemble((_line(hit.title), "bold"), "  ", text)
        text.append(f"  {_line(hit.passage_id)}", "dim")
        grid.add_row(str(rank), f"{hit.score:.3f}", text)
    console.print(grid)


def embedding() -> Callable[[int, int], None]:
    """Shows how many passages are embedded, of how many: on a terminal as a bar, elsewhere as a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return Progress("embedded", "passages").reach
    bar = Bar(*Bar.get_default_columns(), console=console, transient=True)
    task = bar.add_task("embedding passages")

    def told(done: int, rows: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=rows)
        if done == rows:
            bar.stop()

    return told


def _line(text: str) -> str:
    """A text in one line, which no terminal obeys."""
    return visible(" ".join(text.split()))


def _whole(hit: Hit) -> str:
    return f"{hit.title} {hit.text}".strip()


def _beginning(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1].rstrip()}…"
