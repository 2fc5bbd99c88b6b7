"""Weights files: shares of the tasks as bars, the passes that they mean, and several of them side by side."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tdro.formats import passes
from tdro.mixtures.weights import Weights, read_weights
from tdro.report.show.drawing import bar, heading, table
from tdro.report.show.view import Asked, View

_BAR = 30
# Of several files: the width of a bar, and of a column.
_NARROW, _COLUMN = 6, 18


def one(path: Path, asked: Asked) -> View:
    """A weights file, the heaviest task on top."""
    file, shown = read_weights(path), table("task", "rows", "weight", "", "passes")
    heaviest = max(file.weights.values())
    for task, weight in sorted(file.weights.items(), key=lambda pair: -pair[1]):
        cells = f"{file.sizes[task]:,}", f"{weight:.4f}", Text(bar(weight / heaviest, asked.bar(_BAR)), "cyan")
        shown.add_row(task, *cells, _passes(file, task, asked.drawn))
    return View([shown, _about_passes(asked)], _content(file, asked.drawn))


def several(paths: Sequence[Path], asked: Asked) -> View:
    """Weights files side by side, the heaviest task of the first file on top; of two also their difference."""
    files = dict(zip(_names(paths), map(read_weights, paths), strict=True))
    tasks = list(dict.fromkeys(task for file in files.values() for task in file.weights))
    tasks.sort(key=lambda task: [-file.weights.get(task, 0.0) for file in files.values()])
    parts: list[RenderableType] = list((_pair if len(files) == 2 else _blocks)(files, tasks, asked))
    return View(parts, {name: _content(file, asked.drawn) for name, file in files.items()})


def _pair(files: dict[str, Weights], tasks: list[str], asked: Asked) -> Iterator[RenderableType]:
    (first, one), (second, other) = files.items()
    sized = () if asked.narrow else ("rows",)
    shown = table("task", *sized, first, "", "passes", second, " ", "passes", "difference", drawn=(" ",))
    heaviest = _heaviest(files)
    for task in tasks:
        size = next(file.sizes[task] for file in (one, other) if task in file.sizes)
        cells: list[str | Text] = [task, *(f"{size:,}" for _ in sized)]
        for file in (one, other):
            weight = file.weights.get(task, 0.0)
            drawn = Text(bar(weight / heaviest, asked.bar(2 * _NARROW)), "cyan")
            cells += [f"{weight:.4f}", drawn, _passes(file, task, asked.drawn)]
        shown.add_row(*cells, _difference(other.weights.get(task, 0.0) - one.weights.get(task, 0.0)))
    yield shown
    yield Text(f"difference: {second} minus {first}", style="dim")
    yield _about_passes(asked)


def _blocks(files: dict[str, Weights], tasks: list[str], asked: Asked) -> Iterator[RenderableType]:
    """Tables below each other, each of a few files."""
    names, heaviest, beside = list(files), _heaviest(files), asked.beside(_COLUMN)
    for start in range(0, len(names), beside):
        here = names[start : start + beside]
        shown = Table.grid(padding=(0, 2))
        shown.add_column("task", overflow="fold")
        for _ in here:
            shown.add_column(overflow="fold", min_width=7 + _NARROW)
        shown.add_row("task", *here, style="bold")
        for task in tasks:
            shown.add_row(task, *(_cell(files[name], task, heaviest, asked.drawn) for name in here))
        yield heading(f"mixtures {start + 1} to {start + len(here)} of {len(names)}")
        yield shown
    yield Text("a dot: the mixture leaves the task out", style="dim")
    if asked.drawn:
        yield _about_passes(asked)


def _cell(file: Weights, task: str, heaviest: float, drawn: int | None) -> Text:
    """Weight and bar; and where a number of rows is asked for, the passes."""
    weight = file.weights.get(task, 0.0)
    if not weight:
        return Text("·", style="dim")
    seen = f" ×{_passes(file, task, drawn)}" if drawn else ""
    drawn_bar = bar(weight / heaviest, _NARROW)
    return Text.assemble(f"{weight:.3f} ", (drawn_bar.ljust(_NARROW) if seen else drawn_bar, "cyan"), seen)


def _heaviest(files: dict[str, Weights]) -> float:
    return max(weight for file in files.values() for weight in file.weights.values())


def _difference(value: float) -> Text:
    return Text(f"{value:+.4f}", style="green" if value > 0 else "red" if value < 0 else "dim")


def _names(paths: Sequence[Path]) -> list[str]:
    """The files' names without what they have in common: the mixtures, where all lie in one folder."""
    stems = [path.with_suffix("") for path in paths]
    if len({stem.name for stem in stems}) == len(stems):
        return [stem.name for stem in stems]
    whole = [str(stem.absolute()) for stem in stems]
    common = os.path.commonpath(whole) if len(set(whole)) > 1 else str(stems[0].parent.absolute())
    names = [os.path.relpath(one, common) for one in whole]
    return [name if names.count(name) == 1 else f"{name} ({place})" for place, name in enumerate(names, start=1)]


def _passes(file: Weights, task: str, drawn: int | None) -> str:
    return passes(file.passes(drawn)[task]) if task in file.weights else "0"


def _about_passes(asked: Asked) -> Text:
    drawn = f"{asked.drawn:,} rows are drawn" if asked.drawn else "as many rows are drawn as the file's tasks have"
    return Text(f"passes: how often a training sees each row of the dataset when {drawn}", style="dim")


def _content(file: Weights, drawn: int | None) -> dict[str, Any]:
    seen = file.passes(drawn)
    return {task: {"weight": w, "rows": file.sizes[task], "passes": seen[task]} for task, w in file.weights.items()}
