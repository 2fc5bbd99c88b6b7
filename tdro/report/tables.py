"""The paper's tables 3 and 5 with our figures beside its own.

    results.csv (of the report), resources/paper_results.csv -> tables.md, and the same as text

All figures are in percent, as in the paper. A cell is empty for what was not run; ``(2 of 15)`` stands where only a
part of a suite was evaluated, and ``(preview)`` where that was on a sample of a corpus: such means cannot be compared.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from tdro.artifacts.files import replacing
from tdro.errors import UserError
from tdro.formats import METRIC_NAMES
from tdro.report.scores.queries import ALL_SEEDS
from tdro.report.scores.subjects import MEAN

#: Datasets of each suite in the paper; BEIR counts CQADupStack once.
SUITES = {"BEIR": 15, "MIRACL": 18, "MKQA": 25}
_MAIN = [
    ("MIRACL", "ndcg_at_10"),
    ("MIRACL", "recall_at_100"),
    ("MKQA", "acc_at_10"),
    ("MKQA", "acc_at_100"),
    ("BEIR", "ndcg_at_10"),
]
_ABLATION = [("BEIR", "ndcg_at_10"), ("MIRACL", "ndcg_at_10"), ("MKQA", "acc_at_100")]
_COLUMNS = {
    "results": ("model", "mixture", "seed", "benchmark", "dataset", "metric", "score", "difference", "preview"),
    "paper": ("table", "base", "mixture", "suite", "metric", "value"),
}
#: A cell's place: base (lower case), mixture, suite, metric.
Place = tuple[str, str, str, str]


def tables(results: Path, paper: Path, measure: str, evaluated: Mapping[str, int], output: Path) -> str:
    """Write both tables as Markdown and return them.

    Args:
        results: The report's ``results.csv``. Models match the paper's bases by name, whatever its case.
        paper: The paper's figures.
        measure: ``tdro.measure`` of the run: which row of table 5 the mixture ``curr`` is.
        evaluated: Datasets that the run evaluated of each suite.
        output: File to write.

    Raises:
        UserError: for a file that is missing or lacks a column.
    """
    ours, theirs = _read(results, "results"), _read(paper, "paper")
    text = f"{_table_3(ours, theirs, evaluated)}\n{_table_5(ours, theirs, measure, evaluated)}"
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return text


def _read(path: Path, kind: str) -> pl.DataFrame:
    try:
        frame = pl.read_csv(path, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path} cannot be read as CSV: {str(error).splitlines()[0]}") from None
    missing = [name for name in _COLUMNS[kind] if name not in frame.columns]
    if missing:
        raise UserError(f"{path} has no column {missing[0]!r}; make the report again.")
    return frame


def _table_3(ours: pl.DataFrame, theirs: pl.DataFrame, evaluated: Mapping[str, int]) -> str:
    """Every base and mixture: MIRACL, MKQA, BEIR."""
    published, measured = _published(theirs, 3), _measured(ours, "score")
    names = {base.lower(): base for base in theirs.filter(pl.col("table") == 3)["base"].unique(maintain_order=True)}
    names |= {model.lower(): model for model in ours["model"].unique(maintain_order=True) if model.lower() not in names}
    lines = []
    for key, name in names.items():
        for mixture in dict.fromkeys(mixture for base, mixture, *_ in (*published, *measured) if base == key):
            cells = [
                _cell(measured.get((key, mixture, *c)), published.get((key, mixture, *c)), c[0], evaluated, "{:.1f}")
                for c in _MAIN
            ]
            lines.append([name, mixture, *cells])
    return _markdown("Table 3: retrieval, ours / the paper's", ["base", "mixture", *map(_heading, _MAIN)], lines)


def _table_5(ours: pl.DataFrame, theirs: pl.DataFrame, measure: str, evaluated: Mapping[str, int]) -> str:
    """Ablations on the smallest base: changes against uniform sampling."""
    published, measured = _published(theirs, 5), _measured(ours, "difference")
    base = next(iter(published))[0]
    curr = "curr, ratio" if measure == "released" else f"curr, {measure}"
    lines = []
    for row in dict.fromkeys(mixture for _, mixture, *_ in published):
        mixture = "curr" if row == curr else row
        cells = [
            _cell(measured.get((base, mixture, *c)), published.get((base, row, *c)), c[0], evaluated, "{:+.1f}")
            for c in _ABLATION
        ]
        lines.append([row, *cells])
    title = f"Table 5: ablations on {base}, change against uniform, ours / the paper's"
    return _markdown(title, ["variant", *map(_heading, _ABLATION)], lines)


def _published(theirs: pl.DataFrame, table: int) -> dict[Place, float]:
    rows = theirs.filter(pl.col("table") == table).iter_rows(named=True)
    return {(r["base"].lower(), r["mixture"], r["suite"], r["metric"]): r["value"] for r in rows}


def _measured(ours: pl.DataFrame, column: str) -> dict[Place, tuple[float, bool]]:
    """Our means over a suite, in percent, and whether they are previews."""
    rows = ours.filter(
        (pl.col("seed").cast(pl.String) == ALL_SEEDS)
        & (pl.col("dataset") == MEAN)
        & pl.col("benchmark").is_in(list(SUITES))
        & pl.col(column).cast(pl.Float64).is_not_null()
    ).iter_rows(named=True)
    return {
        (r["model"].lower(), r["mixture"], r["benchmark"], r["metric"]): (100 * float(r[column]), bool(r["preview"]))
        for r in rows
    }


def _cell(
    ours: tuple[float, bool] | None, theirs: float | None, suite: str, evaluated: Mapping[str, int], form: str
) -> str:
    if ours is None and theirs is None:
        return ""
    own, preview = ours or (None, False)
    part = " (preview)" if preview else ""
    if ours is not None and evaluated.get(suite, 0) < SUITES[suite]:
        part += f" ({evaluated.get(suite, 0)} of {SUITES[suite]})"
    shown = [form.format(value) if value is not None else "" for value in (own, theirs)]
    return f"{shown[0]}{part} / {shown[1]}".strip()


def _heading(column: tuple[str, str]) -> str:
    return f"{column[0]} {METRIC_NAMES[column[1]]}"


def _markdown(title: str, headings: list[str], lines: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in (headings, *lines)) for i in range(len(headings))]
    written = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (headings, ["-" * width for width in widths], *lines)
    ]
    return "\n".join([f"**{title}**", "", *written, ""])
