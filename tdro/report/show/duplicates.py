"""Training queries that repeat an evaluation query, both side by side with what differs; and texts that leak."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from rich.console import RenderableType
from rich.text import Text

from tdro.artifacts.files import verified
from tdro.artifacts.schemas import DUPLICATES, LEAKS
from tdro.formats import count
from tdro.report.show import peek
from tdro.report.show.drawing import heading, table
from tdro.report.show.examples import shortened
from tdro.report.show.view import Asked, View

# Words, single characters of scripts without spaces, and what stands between them.
_PIECES = re.compile(r"[぀-ヿ㐀-䶿一-鿿]|\w+|\W")


def duplicates(path: Path, asked: Asked) -> View:
    """Numbers by source, then pairs: what only the training query says in red, what only the other says in green."""
    rows = peek.rows(path, DUPLICATES, asked)
    by_source = _by_source(path)
    pairs = table("row", "query", "training", "repeats", "of", "bits", left=("training", "repeats", "of"))
    for number, row in rows.items():
        texts = (shortened(row[key], asked) for key in ("text", "matched"))
        one, other = differences(*texts, signs=asked.signs)
        pairs.add_row(str(number), str(row["query"]), one, other, row["source"], str(row["distance"]))
    shown = peek.said(path, asked, len(rows), "pairs")
    parts: list[RenderableType] = [Text(", ".join(f"{source}: {count(n)}" for source, n in by_source.items()))]
    marks = ("[-these-]", "{+these+}") if asked.signs else ("red", "green")
    said = f"{marks[0]}: in the training query alone; {marks[1]}: in the other alone; {shown}"
    parts += [pairs, Text(said, style="dim")]
    content = {"by_source": by_source, "rows": [{"row": n} | row for n, row in rows.items()], "shown": shown}
    return View(parts if rows else [Text("No training query was removed.")], content)


def differences(one: str, other: str, *, signs: bool = False) -> tuple[Text, Text]:
    """Two texts, each with what the other lacks in a colour, or between signs: ``stop [-a-] job``."""
    before, behind = _PIECES.findall(one), _PIECES.findall(other)
    left, right = Text(), Text()
    matcher = difflib.SequenceMatcher(a=before, b=behind, autojunk=False)
    for what, start, end, other_start, other_end in matcher.get_opcodes():
        here, there = "".join(before[start:end]), "".join(behind[other_start:other_end])
        if what == "equal":
            left.append(here)
            right.append(there)
            continue
        left.append(f"[-{here}-]" if signs and here else here, "bold red")
        right.append(f"{{+{there}+}}" if signs and there else there, "bold green")
    return left, right


def leaks(path: Path, asked: Asked) -> View:
    """How much of each evaluated dataset stands in the training rows, then examples with both texts."""
    rows = peek.rows(path, LEAKS, asked, usual=100)
    numbers = table("dataset", "queries", "in a query", "in a positive", "passages", "in a query", "in a positive")
    for row in rows.values():
        keys = ("queries", "query_in_query", "query_in_positive", "passages", "passage_in_query", "passage_in_positive")
        numbers.add_row(row["dataset"], *(count(row[key]) for key in keys))
    parts: list[RenderableType] = [numbers]
    for row in rows.values():
        parts += _examples(row, asked)
    return View(parts, {"rows": [{"row": number} | row for number, row in rows.items()]})


def _examples(row: dict, asked: Asked) -> Iterator[RenderableType]:
    for example in row["examples"]:
        where = f"{example['side']} of {example['task']}, row {example['row']}"
        yield heading(f"{row['dataset']}: a {example['kind']}, {example['share']:.0%} of it in a {where}")
        yield Text(shortened(example["evaluation"], asked))
        yield Text(shortened(example["training"], asked), style="yellow")


def _by_source(path: Path) -> dict[str, int]:
    found = (
        pl.scan_parquet(verified(path))
        .group_by("source")
        .len()
        .sort("len", "source", descending=[True, False])
        .collect()
    )
    return dict(found.iter_rows())
