"""Scores: of whole test sets, side by side where there are several files; of single queries; the report's table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import RenderableType
from rich.text import Text

from tdro.artifacts.files import read_json, verified
from tdro.artifacts.schemas import FIRST, METRICS
from tdro.formats import METRIC_NAMES, count, plural
from tdro.report.show import beside
from tdro.report.show.drawing import bar, figure, heading, sparkline, table
from tdro.report.show.examples import FOUND, POSITIVE, QUERY, Example, Line, drawn, passages
from tdro.report.show.peek import USUAL, wanted
from tdro.report.show.view import Asked, View

_BAR = 20
# Differences that can be told from none.
_TOLD = ("gain", "loss")
# Width of a column of a file beside others.
_COLUMN = 20
# Columns of a histogram from 0 to 1.
_BINS = 20
_BY_SCORE = "queries by score, 0 to 1"


def one(path: Path, asked: Asked) -> View:
    """Mean scores of a retriever: a line a test set, a column a metric."""
    content = read_json(path)
    datasets, metrics = content["datasets"], _metrics(content)
    shown = table("test set", "queries", "passages", *map(_name, metrics), "")
    for name, figures in datasets.items():
        sizes = (count(figures[key]) if key in figures else "-" for key in ("queries", "passages"))
        scores = (figure(figures.get(metric), 3) for metric in metrics)
        main = next((figures[metric] for metric in metrics if metric in figures), 0.0)
        shown.add_row(name, *sizes, *scores, Text(bar(main, asked.bar(_BAR)), "cyan"))
    if len(datasets) > 1:
        means = (_mean(datasets, metric) for metric in metrics)
        shown.add_row("mean", "", "", *(figure(mean, 3) for mean in means), style="bold")
    return View([Text(f"benchmark {content['benchmark']}"), shown, *_previews(datasets)], content)


def several(paths: Sequence[Path], asked: Asked) -> View:
    """Main scores side by side, a column a file; the best of a line has a star. Files without a test set in common
    come one after the other."""
    contents = dict(zip(_names(paths), map(read_json, paths), strict=True))
    sets = [name for content in contents.values() for name in content["datasets"]]
    if len(set(sets)) == len(sets):
        views = [one(path, asked) for path in paths]
        return View([part for view in views for part in view.parts], contents)
    parts: list[RenderableType] = []
    names, number = list(contents), asked.beside(_COLUMN)
    for start in range(0, len(names), number):
        parts.append(_beside(contents, names[start : start + number], list(dict.fromkeys(sets))))
    datasets = [figures for content in contents.values() for figures in content["datasets"].values()]
    metrics = list(dict.fromkeys(_name(decides) for figures in datasets if (decides := _decides(figures))))
    return View([*parts, Text(f"{', '.join(metrics)}; the best of a line has a star", style="dim")], contents)


def _beside(contents: dict[str, Any], names: list[str], sets: list[str]):
    """A table of some files; what is best is best of all files."""
    shown = table("test set", *names)
    for dataset in sets:
        found = {name: _main(content["datasets"].get(dataset, {})) for name, content in contents.items()}
        best = max((score for score in found.values() if score is not None), default=None)
        styles = {name: "bold green" if score is not None and score == best else "" for name, score in found.items()}
        shown.add_row(dataset, *(_marked(found[name], styles[name]) for name in names))
    means = {name: _mean_main(contents[name]["datasets"], sets) for name in names}
    if len(sets) > 1:
        shown.add_row("mean", *(figure(means[name], 3) for name in names), style="bold")
    return shown


def queries(path: Path, asked: Asked) -> View:
    """Means and a histogram of each test set, then the queries that are answered worst."""
    scores = pl.scan_parquet(verified(path))
    names = scores.collect_schema().names()
    metrics = [metric for metric in METRICS if metric in names]
    means = scores.group_by("dataset", maintain_order=True).agg(pl.len(), *(pl.col(m).mean() for m in metrics))
    rows = means.collect().to_dicts()
    metrics = [metric for metric in metrics if any(row[metric] is not None for row in rows)]
    shown = table("test set", "queries", *map(_name, metrics), _BY_SCORE, drawn=(_BY_SCORE,))
    for row in rows:
        main = next((metric for metric in metrics if row[metric] is not None), None)
        by_score = Text(sparkline(_histogram(scores, row["dataset"], main), low=0) if main else "", "cyan")
        shown.add_row(row["dataset"], count(row["len"]), *(figure(row[metric], 3) for metric in metrics), by_score)
    worst = _worst(path, metrics, asked)
    examples = [_example(beside.results_of(path), row, metrics) for row in worst]
    parts: list[RenderableType] = [shown, heading(_about_worst(asked)), *drawn(examples, asked)]
    content = {
        "datasets": [{k: v for k, v in row.items() if v is not None} for row in rows],
        "rows": _content(worst, examples),
    }
    return View(parts, content)


def results(path: Path, asked: Asked) -> View:
    """The report's results.csv: means of every mixture over all seeds, a table a model and metric."""
    rows = pl.read_csv(path, infer_schema_length=None).filter(pl.col("seed").cast(pl.String) == "all")
    parts: list[RenderableType] = []
    for (model, metric), mine in rows.group_by("model", "metric", maintain_order=True):
        benchmarks = list(dict.fromkeys(mine.filter(pl.col("dataset") == "(mean)")["benchmark"]))
        shown = table("mixture", *benchmarks)
        for mixture in dict.fromkeys(mine["mixture"]):
            shown.add_row(mixture, *(_of_mixture(mine, mixture, benchmark) for benchmark in benchmarks))
        parts += [heading(f"{model}, {_name(metric)}"), shown]
    return View(parts, {"rows": rows.to_dicts()})


def _of_mixture(rows: pl.DataFrame, mixture: str, benchmark: str) -> Text:
    """The score, and the difference to the baseline where there is one."""
    here = (pl.col("mixture") == mixture, pl.col("benchmark") == benchmark, pl.col("dataset") == "(mean)")
    found = rows.filter(*here).to_dicts()
    if not found:
        return Text("")
    score = Text(figure(found[0]["score"], 3))
    difference = found[0].get("difference")
    if difference not in (None, ""):
        verdict = found[0].get("verdict")
        style = {"gain": "bold green", "loss": "bold red"}.get(verdict, "dim")
        score.append(f" {float(difference):+.3f}{'*' if verdict in _TOLD else ' '}", style)
    return score


def _worst(path: Path, metrics: Sequence[str], asked: Asked) -> list[dict[str, Any]]:
    """Queries by rising main score with their texts, or the row that was asked for."""
    if asked.row is not None:
        found = _row(path, asked.row)
    else:
        main = pl.coalesce(*metrics) if metrics else pl.lit(None)
        ordered = pl.scan_parquet(verified(path)).with_row_index("row").sort(main, "row", nulls_last=True)
        found = ordered.head(asked.rows or USUAL).collect().to_dicts()
    return [{key: value for key, value in row.items() if value is not None} for row in found]


def _row(path: Path, row: int) -> list[dict[str, Any]]:
    wanted(path, Asked(row=row))
    return pl.scan_parquet(verified(path)).with_row_index("row").slice(row, 1).collect().to_dicts()


def _content(rows: list[dict[str, Any]], examples: list[Example]) -> list[dict[str, Any]]:
    return [row | one.content() for row, one in zip(rows, examples, strict=True)]


def _example(results: Path | None, row: dict[str, Any], metrics: Sequence[str]) -> Example:
    """A query with what answers it and what was found first, as far as the files are at hand."""
    scores = ", ".join(f"{_name(metric)} {figure(row[metric], 3)}" for metric in metrics if metric in row)
    name = f"row {row['row']}: {row['dataset']}, {scores}"
    data = beside.test_set(results, row["dataset"]) if results else beside.Data(None)
    asked = data.asked(row["query_id"])
    right = data.places(asked["positives"] if asked else [])
    found = data.searched(row.get(FIRST) or [])
    lines = [Line(QUERY, asked["query"] if asked else None, note=row["query_id"])]
    lines += passages(POSITIVE, list(right), data.passages(right))
    lines += [
        line._replace(note="relevant" if line.row in right.values() else "")
        for line in passages(FOUND, row.get(FIRST) or [], found)
    ]
    return Example(name, lines, {})


def _about_worst(asked: Asked) -> str:
    if asked.row is not None:
        return f"row {asked.row}"
    return f"the {plural(asked.rows or USUAL, 'query', 'queries')} answered worst; --rows N shows more, --row K one"


def _histogram(scores: pl.LazyFrame, dataset: str, metric: str) -> list[float | None]:
    place = (pl.col(metric) * _BINS).floor().clip(0, _BINS - 1).cast(pl.Int32)
    found = scores.filter(pl.col("dataset") == dataset).drop_nulls(metric).group_by(place.alias("bin")).len().collect()
    number = dict(found.iter_rows())
    return [number.get(place) for place in range(_BINS)]


def _metrics(content: dict[str, Any]) -> list[str]:
    """Metrics of any test set; those of cut embeddings behind the whole ones."""
    known = [key for figures in content["datasets"].values() for key in figures if key.partition("@")[0] in METRICS]
    order = {metric: place for place, metric in enumerate(METRICS)}
    return sorted(dict.fromkeys(known), key=lambda key: ("@" in key, order[key.partition("@")[0]]))


def _name(metric: str) -> str:
    whole, _, size = metric.partition("@")
    return METRIC_NAMES.get(whole, whole) + (f" at {size}" if size else "")


def _decides(figures: dict[str, float]) -> str | None:
    """The main metric of a test set."""
    return next((metric for metric in METRICS if metric in figures), None)


def _main(figures: dict[str, float]) -> float | None:
    decides = _decides(figures)
    return figures[decides] if decides else None


def _mean(datasets: dict[str, dict[str, float]], metric: str) -> float | None:
    found = [figures[metric] for figures in datasets.values() if metric in figures]
    return sum(found) / len(found) if len(found) == len(datasets) else None


def _marked(score: float | None, style: str) -> Text:
    return Text(figure(score, 3) + ("*" if style else " "), style)


def _mean_main(datasets: dict[str, dict[str, float]], sets: list[str]) -> float | None:
    """The mean of the main scores; None where a test set is missing."""
    found = [_main(datasets.get(name, {})) for name in sets]
    return sum(found) / len(found) if None not in found else None


def _previews(datasets: dict[str, dict[str, Any]]) -> list[RenderableType]:
    return [
        Text(f"{name} is a preview: {count(f['passages'])} of {count(f['sampled_from'])} passages", style="yellow")
        for name, f in datasets.items()
        if f.get("sampled_from", 0) > f.get("passages", 0)
    ]


def _names(paths: Sequence[Path]) -> list[str]:
    """What tells the files apart: the parts of their paths that are not the same for all."""
    parts = [path.with_suffix("").absolute().parts for path in paths]
    names = ["/".join(part for part in mine if not all(part in other for other in parts)) for mine in parts]
    if len(set(names)) == len(names):
        return names
    return [f"{name or path.name} ({place})" for place, (name, path) in enumerate(zip(names, paths, strict=True), 1)]
