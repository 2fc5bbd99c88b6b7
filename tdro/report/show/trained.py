"""`tdro rows`: examples of a task as a training reads them, with prompts, positives, negatives and scores."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from rich.text import Text

from tdro.artifacts.files import column_names, verified
from tdro.artifacts.foreign import read_foreign
from tdro.artifacts.layout import Layout
from tdro.config.commands import BASELINE
from tdro.config.nearest import hint
from tdro.config.prompts import TaskPrompts
from tdro.config.registry import Prompted
from tdro.errors import UserError
from tdro.formats import count
from tdro.report.show import beside, runs
from tdro.report.show.examples import NEGATIVE, POSITIVE, PROMPT, QUERY, Example, Line, drawn
from tdro.report.show.peek import USUAL
from tdro.report.show.view import Asked, View
from tdro.text.strings import choose

_PLAN = "plan.parquet"
_HOW = "--negatives shows them"


class Which(NamedTuple):
    """Which training is meant; None leaves it open: the first model, the smallest seed, the mixture ``uniform``."""

    model: str | None = None
    seed: int | None = None
    mixture: str | None = None


class _Prompts(NamedTuple):
    """What stands before the texts of a task, and how many tokens of them are read."""

    prompts: TaskPrompts
    task: Prompted
    seed: int
    lengths: tuple[int, int]

    def of(self, task: str, query: int) -> tuple[str, str]:
        """Before a query and before its passages: the wording of the instruction is that of the training."""
        wording = choose(len(self.task.instruction), self.seed, task, query)
        of_passages = self.task.instruction[wording if self.task.symmetric else 0]
        passage = self.prompts.of_passage(task, of_passages, symmetric=self.task.symmetric)
        return self.prompts.of_query(task, self.task.instruction[wording]), passage


def rows(results: Path, task: str, which: Which, asked: Asked, *, negatives: bool) -> View:
    """Examples spread evenly over what a training reads of a task.

    They come from the plan of a training, where there is one, each with the positive and the negatives that it was
    drawn with; else from the task's train.parquet.

    Args:
        results: Folder of results.
        task: A training task.
        which: Which training.
        asked: How many examples, or which.
        negatives: Whether the negatives are shown as well.

    Raises:
        UserError: for an unknown task, or a training that is not there.
    """
    asked, layout = asked.checked(), Layout(results)
    _check(results, task)
    run = _run(results, which)
    source = run.file if run else Path(layout.task(task, "train.parquet"))
    if not source.is_file():
        raise UserError(f"{source} is not there yet; run the workflow, or `tdro show` what there is of {task}.")
    numbers = _places(source, task if run else None, asked)
    read = _read(source, numbers, planned=run is not None)
    scores = _scores(layout, task, [row["query"] for row in read])
    prompts, data = _prompts(run, task), beside.of_task(results, task)
    texts = data.passages(p for row in read for p in (*row["positives"], *(row["negatives"] if negatives else ())))
    queries = data.queried(row["query"] for row in read)
    examples = []
    for number, row in zip(numbers, read, strict=True):
        before = prompts.of(task, row["query"]) if prompts else ("", "")
        lines = _lines(row, before, queries, texts, scores.get(row["query"], {}), negatives=negatives)
        examples.append(Example(_name(number, row), lines, {} if negatives else _counted(row), _HOW))
    said = _said(source, task, run, prompts)
    content = {"source": str(source), "said": said, "rows": [example.content() for example in examples]}
    return View([*drawn(examples, asked), Text(f"\n{said}", "dim")], content)


def _check(results: Path, task: str) -> None:
    there = sorted(one.name for one in (results / "data").glob("*") if one.is_dir())
    if task not in there:
        known = f"; the tasks are {', '.join(there)}" if there else "; name another --results"
        raise UserError(f"{results} has no training task {task!r}{hint(task, there)}{known}.")


def _run(results: Path, which: Which) -> runs.Run | None:
    """The run whose plan is read; None where there is none, and none was asked for."""
    if which.mixture is None:
        planned = runs.found(results, f"{BASELINE}/{_PLAN}")
        fits = [run for run in planned if which.model in (None, run.model) and which.seed in (None, run.seed)]
        which = which._replace(mixture=BASELINE if fits else "*")
        if which == Which(mixture="*") and not runs.found(results, f"*/{_PLAN}"):
            return None
    return runs.chosen(results, f"{which.mixture}/{_PLAN}", which.model, which.seed)[0]


def _places(source: Path, task: str | None, asked: Asked) -> list[int]:
    """Rows of the file that are shown: spread evenly over those of the task, or the one that was asked for."""
    every = pl.scan_parquet(verified(source)).with_row_index("place")
    mine = every.filter(pl.col("task") == task) if task else every
    places = mine.select("place").collect()["place"]
    if asked.row is not None:
        if asked.row >= len(places):
            raise UserError(f"{source} has {count(len(places))} rows of the task and no row {asked.row}.")
        return [places[asked.row]]
    number = min(len(places), asked.rows or USUAL)
    return [places[place * len(places) // number] for place in range(number)]


def _read(source: Path, numbers: list[int], *, planned: bool) -> list[dict[str, Any]]:
    found = pl.scan_parquet(verified(source)).with_row_index("place").filter(pl.col("place").is_in(numbers)).collect()
    read = found.sort("place").to_dicts()
    return [row | {"positives": [row["positive"]]} for row in read] if planned else read


def _scores(layout: Layout, task: str, queries: Iterable[int]) -> dict[int, dict[int, float]]:
    """Scores of passages by query, as far as mining or a cross-encoder have given some."""
    train, mined = (Path(layout.task(task, f"{name}.parquet")) for name in ("train", "negatives"))
    wanted = pl.col("query").is_in(list(queries))
    if train.is_file() and "negative_scores" in column_names(train):
        rows = pl.scan_parquet(verified(train)).filter(wanted).collect().to_dicts()
        return {row["query"]: _pairs(row, row["positives"], "negative_scores") for row in rows}
    if not mined.is_file():
        return {}
    rows = pl.scan_parquet(verified(mined)).filter(wanted).collect().to_dicts()
    right = beside.of_task(Path(layout.results), task).positives(row["query"] for row in rows)
    return {row["query"]: _pairs(row, right.get(row["query"], []), "scores") for row in rows}


def _pairs(row: dict[str, Any], positives: list[int], key: str) -> dict[int, float]:
    pairs = [*zip(positives, row["positive_scores"] or [], strict=False)]
    return dict([*pairs, *zip(row["negatives"], row[key] or [], strict=False)])


def _prompts(run: runs.Run | None, task: str) -> _Prompts | None:
    """Those of the training, or of another one of its model; None where no model is trained yet."""
    files = [run.file.with_name("model"), *sorted(run.folder.parent.glob("seed*/*/model"))] if run else []
    for file in (folder / "training_settings.json" for folder in files):
        settings = read_foreign(file)
        if task in settings.get("tasks", {}):
            lengths = settings["encoding"]["query_length"], settings["encoding"]["passage_length"]
            prompts = TaskPrompts(**settings["model"]["prompts"])
            return _Prompts(prompts, Prompted(**settings["tasks"][task]), run.seed, lengths)
    return None


def _lines(
    row: dict[str, Any],
    before: tuple[str, str],
    queries: dict[int, str],
    texts: dict[int, str],
    scores: dict[int, float],
    *,
    negatives: bool,
) -> list[Line]:
    lines = [Line(PROMPT, before[0], note="before the query")] if before[0] else []
    lines.append(Line(QUERY, queries.get(row["query"]), row["query"]))
    lines += [Line(PROMPT, before[1], note="before each passage")] if before[1] else []
    lines += [Line(POSITIVE, texts.get(p), p, scores.get(p)) for p in row["positives"]]
    return lines + [Line(NEGATIVE, texts.get(p), p, scores.get(p)) for p in row["negatives"] if negatives]


def _counted(row: dict[str, Any]) -> dict[str, int]:
    return {NEGATIVE: len(row["negatives"])} if row["negatives"] else {}


def _name(number: int, row: dict[str, Any]) -> str:
    return f"step {row['step']}, slot {row['slot']}" if "step" in row else f"row {number}"


def _said(source: Path, task: str, run: runs.Run | None, prompts: _Prompts | None) -> str:
    said = f"Out of {source}" + (f" ({run.model}, seed {run.seed}, {run.file.parent.name})" if run else "")
    said += "." if run else ": no training is planned yet, so each row has all positives and negatives."
    if not prompts:
        return f"{said} What stands before the texts is not known before a model is trained."
    query, passage = prompts.lengths
    none = "" if any(prompts.of(task, 0)) else " Nothing stands before the texts."
    return f"{said}{none} Of a query {query} tokens are read, of a passage {passage}."
