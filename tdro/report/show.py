"""Weights files as a table for the terminal."""

from pathlib import Path

from tdro.errors import UserError
from tdro.formats import passes
from tdro.mixtures.weights import Weights, read_weights
from tdro.report.plain import plain, plain_table

_BAR = 30


def show(paths: list[Path], rows: int | None = None) -> str:
    """Compare one or two weights files, the heaviest task of the first file on top.

    Args:
        paths: One weights JSON, or two; the second is compared with the first.
        rows: Training rows that a run draws (steps x batch size); passes over each dataset are
            then those of that run. None: passes when as many rows are drawn as the tasks have.

    Returns:
        The table as plain text of at most 120 columns.

    Raises:
        UserError: for a file that is no weights file, other than one or two files, or ``rows`` below 1.
    """
    if not 1 <= len(paths) <= 2:
        raise UserError(f"show compares one or two weights files, not {len(paths)}; name one or two.")
    if rows is not None and rows < 1:
        raise UserError(f"--rows is {rows}; expected the rows that a training draws (steps x batch size), at least 1.")
    files = [read_weights(path) for path in paths]
    table = plain_table()
    for heading, width in _columns(files):
        table.add_column(heading, justify="left" if width else "right", min_width=width, overflow="fold")
    tasks = list(dict.fromkeys(task for file in files for task in file.weights))
    heaviest = max(weight for file in files for weight in file.weights.values())
    for task in sorted(tasks, key=lambda task: [-file.weights.get(task, 0) for file in files]):
        table.add_row(*_cells(task, files, rows, heaviest))
    return plain(table) + _notes(paths, rows)


def _columns(files: list[Weights]) -> list[tuple[str, int | None]]:
    """Headings, and least widths of those that are flush left."""
    columns = [("task", 12), ("rows", None), ("weight", None), ("", _BAR if len(files) == 1 else _BAR // 2)]
    columns.append(("passes", None))
    return columns + ([("second", None), ("difference", None), ("passes", None)] if len(files) == 2 else [])


def _cells(task: str, files: list[Weights], rows: int | None, heaviest: float) -> list[str]:
    first, size = files[0], next(file.sizes[task] for file in files if task in file.sizes)
    weight = first.weights.get(task, 0.0)
    bar = "#" * round(weight / heaviest * (_BAR if len(files) == 1 else _BAR // 2))
    cells = [task, f"{size:,}", f"{weight:.4f}", bar, _passes(first, task, rows)]
    if len(files) == 2:
        other = files[1].weights.get(task, 0.0)
        cells += [f"{other:.4f}", f"{other - weight:+.4f}", _passes(files[1], task, rows)]
    return cells


def _passes(file: Weights, task: str, rows: int | None) -> str:
    return passes(file.passes(rows)[task]) if task in file.weights else "0"


def _notes(paths: list[Path], rows: int | None) -> str:
    drawn = f"{rows:,} rows are drawn" if rows else "as many rows are drawn as the file's tasks have"
    lines = [f"passes: how often a training sees each row of the dataset when {drawn}"]
    if len(paths) == 2:
        lines += [f"first:  {paths[0]}", f"second: {paths[1]}", "difference: second minus first"]
    return "\n".join(lines)
