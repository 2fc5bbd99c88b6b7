"""Near-duplicates of evaluation queries that were removed from training."""

from dataclasses import dataclass

import polars as pl

from tdro.artifacts.files import read_table
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import DUPLICATES
from tdro.formats import cut

_EXAMPLES = 12


@dataclass(frozen=True)
class Duplicates:
    """Training queries removed: a line a source with a number a task, both only where there are some, and examples."""

    tasks: list[str]
    lines: list[tuple[str, list[int]]]
    totals: list[int]
    examples: list[dict]


def duplicates(tasks: list[str], layout: Layout) -> Duplicates:
    """Near-duplicates by source and task, with sums of both, and examples spread over them.

    Only tasks and sources with near-duplicates appear; the source with the most comes first.

    Raises:
        UserError: when a task's ``duplicates.parquet`` is missing.
    """
    frames = [
        pl.DataFrame(read_table(layout.task(task, "duplicates.parquet"), DUPLICATES)).with_columns(
            task=pl.lit(task, pl.String)
        )
        for task in tasks
    ]
    rows = pl.concat(frames)
    number = {(source, task): n for source, task, n in rows.group_by("source", "task").len().iter_rows()}
    concerned = [task for task in tasks if any(task == name for _, name in number)]
    lines = []
    for source, total in sorted(rows.group_by("source").len().iter_rows(), key=lambda row: (-row[1], row[0])):
        lines.append((source, [*(number.get((source, task), 0) for task in concerned), total]))
    totals = [sum(column) for column in zip(*(values for _, values in lines), strict=True)]
    return Duplicates(concerned, lines, totals, _examples(rows))


def _examples(rows: pl.DataFrame) -> list[dict]:
    """The first rows of every task and source in turn; those that differ in wording come first."""
    ordered = rows.sort("distance", "query", descending=[True, False], maintain_order=True)
    turn = pl.int_range(pl.len()).over("task", "source")
    chosen = ordered.with_columns(turn=turn).sort("turn", maintain_order=True).head(_EXAMPLES)
    chosen = chosen.sort("task", "source", "query")
    return [{**row, "text": cut(row["text"]), "matched": cut(row["matched"])} for row in chosen.iter_rows(named=True)]
