"""Files of texts and of rows that name texts: each row as people read it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.text import Text

from tdro.artifacts.files import column_names
from tdro.artifacts.schemas import (
    CANDIDATES,
    CORPUS,
    DEV_POOL,
    NEGATIVES,
    QUERIES,
    RANKINGS,
    SCORED_TRAIN,
    TEST_QUERIES,
    TRAIN,
)
from tdro.report.show import beside, peek
from tdro.report.show.examples import (
    ANSWER,
    NEGATIVE,
    PASSAGE,
    POSITIVE,
    QUERY,
    Example,
    Line,
    drawn,
    passages,
    some,
)
from tdro.report.show.view import Asked, View


def corpus(path: Path, asked: Asked) -> View:
    """Passages, a title in front of each."""
    rows = peek.rows(path, CORPUS, asked)
    lines = [
        Line(PASSAGE, f"{row['title'] or ''} {row['text'] or ''}".strip(), number, note=row["passage_id"] or "")
        for number, row in rows.items()
    ]
    return _view(path, asked, [Example("", [line], {}) for line in lines], "passages")


def queries(path: Path, asked: Asked) -> View:
    """Queries with what answers them, and with negatives where the source provides them."""
    schema = TEST_QUERIES if "grades" in column_names(path) else QUERIES
    rows, data = peek.rows(path, schema, asked), beside.of_folder(path)
    texts = data.passages(_named(rows.values(), asked, "positives", "negatives"))
    return _view(path, asked, [_query(n, row, texts, asked) for n, row in rows.items()], "queries")


def train(path: Path, asked: Asked) -> View:
    """Training rows, or dev rows; with the scores of a cross-encoder where they were kept."""
    scored = "negative_scores" in column_names(path)
    rows = peek.rows(path, SCORED_TRAIN if scored else TRAIN, asked)
    return _of_queries(path, asked, rows, "negatives", "negative_scores", NEGATIVE)


def negatives(path: Path, asked: Asked) -> View:
    """Mined negatives of each query with their scores."""
    return _of_queries(path, asked, peek.rows(path, NEGATIVES, asked), "negatives", "scores", NEGATIVE)


def candidates(path: Path, asked: Asked) -> View:
    """What was found for each query, the positives among it marked."""
    return _of_queries(path, asked, peek.rows(path, CANDIDATES, asked), "candidates", "scores", PASSAGE)


def pool(path: Path, asked: Asked) -> View:
    """Dev queries, the positive that is to be found, and what it is found among."""
    rows = peek.rows(path, DEV_POOL, asked)
    data = beside.of_dataset(path.absolute().parent.parent, path.stem)
    texts = data.passages(
        p for row in rows.values() for p in (row["candidates"][0], *some(row["candidates"][1:], asked))
    )
    asked_of = data.queried(row["query"] for row in rows.values())
    examples = []
    for number, row in rows.items():
        positive, others = row["candidates"][:1], row["candidates"][1:]
        lines = [_asked_of(row["query"], asked_of), *passages(POSITIVE, positive, texts)]
        lines += passages(PASSAGE, some(others, asked), texts)
        examples.append(Example(f"row {number}", lines, _more(asked, {PASSAGE: others})))
    return _view(path, asked, examples, "dev queries")


def rankings(path: Path, asked: Asked) -> View:
    """What was found in a corpus for each query of its test sets."""
    rows, results = peek.rows(path, RANKINGS, asked), beside.results_of(path)
    folder = path.stem if path.parent.name == "rankings" else path.parent.name
    texts = beside.of_dataset(results, folder).passages(_named(rows.values(), asked, "rows"))
    examples = []
    for number, row in rows.items():
        shown = some(row["rows"], asked)
        name = f"row {number}: {row['dataset']}, query {row['query_id']}, {row['dimension']} dimensions"
        examples.append(
            Example(name, passages(PASSAGE, shown, texts, row["scores"]), _more(asked, {PASSAGE: row["rows"]}))
        )
    return _view(path, asked, examples, "rankings")


def _of_queries(path: Path, asked: Asked, rows: dict[int, dict], key: str, scores: str, is_a: str) -> View:
    """Rows that name a query and passages of one task."""
    data = beside.of_folder(path)
    known = _positives(data, rows.values())
    texts = data.passages(_named(rows.values(), asked, key) | {p for found in known.values() for p in found})
    asked_of = data.queried(row["query"] for row in rows.values())
    examples = []
    for number, row in rows.items():
        right = known.get(row["query"], [])
        lines = [_asked_of(row["query"], asked_of)]
        lines += passages(POSITIVE, some(right, asked), texts, row.get("positive_scores"))
        found = passages(is_a, some(row[key], asked), texts, row.get(scores))
        lines += [line._replace(is_a=POSITIVE, note="found") if line.row in right else line for line in found]
        examples.append(Example(f"row {number}", lines, _more(asked, {POSITIVE: right, is_a: row[key]})))
    return _view(path, asked, examples, "rows")


def _positives(data: beside.Data, rows: Iterable[dict[str, Any]]) -> dict[int, list[int]]:
    """Positives of each query: those of the row itself, else those of the task's queries."""
    rows = list(rows)
    if all("positives" in row for row in rows):
        return {row["query"]: row["positives"] for row in rows}
    return data.positives(row["query"] for row in rows)


def _query(number: int, row: dict[str, Any], texts: dict[int, str], asked: Asked) -> Example:
    lines = [Line(QUERY, row["query"], number, note=row["query_id"] or "")]
    grades = row.get("grades") or [None] * len(row["positives"])
    right = passages(POSITIVE, some(row["positives"], asked), texts)
    lines += [
        line if grade is None else line._replace(note=f"grade {grade}")
        for line, grade in zip(right, grades, strict=False)
    ]
    lines += [Line(ANSWER, answer) for answer in row.get("answers") or []]
    lines += passages(NEGATIVE, some(row["negatives"], asked), texts)
    return Example(f"row {number}", lines, _more(asked, {POSITIVE: row["positives"], NEGATIVE: row["negatives"]}))


def _asked_of(row: int, texts: dict[int, str]) -> Line:
    return Line(QUERY, texts.get(row), row)


def _named(rows: Iterable[dict[str, Any]], asked: Asked, *keys: str) -> set[int]:
    """Passages whose texts are shown."""
    return {passage for row in rows for key in keys for passage in some(row[key], asked)}


def _more(asked: Asked, kinds: dict[str, list[int]]) -> dict[str, int]:
    left = {is_a: len(rows) - len(some(rows, asked)) for is_a, rows in kinds.items()}
    return {is_a: number for is_a, number in left.items() if number}


def _view(path: Path, asked: Asked, examples: list[Example], noun: str) -> View:
    said = peek.said(path, asked, len(examples), noun)
    parts = [*drawn(examples, asked), Text(f"\n{said}", style="dim")]
    return View(parts, {"rows": [example.content() for example in examples], "shown": said})
