from pathlib import Path

import polars as pl
import pytest

from tdro.errors import UserError
from tdro.report.tables import SUITES, tables

PAPER = Path(__file__).parents[3] / "resources" / "paper_results.csv"
COLUMNS = [
    *(
        "model",
        "mixture",
        "seed",
        "benchmark",
        "dataset",
        "metric",
        "queries",
        "score",
        "uniform",
        "difference",
        "preview",
    )
]


def row(model, mixture, suite, metric, score, difference=None, *, seed="all", dataset="(mean)", preview=""):
    values = (model, mixture, seed, suite, dataset, metric, 10, score, None, difference, preview)
    return dict(zip(COLUMNS, values, strict=True))


def made(tmp_path, rows, measure="released", evaluated=SUITES):
    pl.DataFrame(rows, infer_schema_length=None).write_csv(tmp_path / "results.csv")
    text = tables(tmp_path / "results.csv", PAPER, measure, evaluated, tmp_path / "tables.md")
    assert (tmp_path / "tables.md").read_text() == text
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def line(lines, *start):
    (found,) = [cells for cells in lines if cells[: len(start)] == list(start)]
    return found[len(start) :]


RUN = [
    row("qwen1.5-0.5b", "uniform", "BEIR", "ndcg_at_10", 0.4712),
    row("qwen1.5-0.5b", "curr", "BEIR", "ndcg_at_10", 0.481, 0.0098),
    row("qwen1.5-0.5b", "curr", "BEIR", "ndcg_at_10", 0.9, 0.9, seed="42"),
    row("qwen1.5-0.5b", "curr", "beir-nq", "ndcg_at_10", 0.9, 0.9),
    row("qwen1.5-0.5b", "top60", "MKQA", "acc_at_100", 0.6, 0.02),
    row("qwen1.5-0.5b", "top60", "MIRACL", "recall_at_100", 0.8, 0.01),
    row("Own", "uniform", "MIRACL", "recall_at_100", 0.5),
]


def test_ours_stand_beside_the_papers_and_what_was_not_run_is_empty(tmp_path):
    lines = made(tmp_path, RUN)
    assert line(lines, "Qwen1.5-0.5B", "uniform") == ["/ 45.8", "/ 80.5", "/ 43.1", "/ 61.3", "47.1 / 47.5"]
    assert line(lines, "Qwen1.5-0.5B", "curr")[4] == "48.1 / 48.3"
    assert line(lines, "Qwen1.5-0.5B", "top60") == ["", "80.0 /", "", "60.0 /", ""]
    assert line(lines, "Llama-3-8B", "top70") == ["/ 66.4", "/ 93.5", "/ 66.0", "/ 76.4", "/ 55.1"]
    assert line(lines, "Own", "uniform") == ["", "50.0 /", "", "", ""]
    assert line(lines, "curr, ratio") == ["+1.0 / +0.8", "/ +3.3", ""]
    assert line(lines, "top60") == ["/ +0.9", "/ +2.4", "+2.0 / +0.7"]
    assert line(lines, "bottom50") == ["/ -2.3", "/ -1.2", "/ -0.6"]


def test_the_measure_decides_the_row_of_the_ablation(tmp_path):
    lines = made(tmp_path, RUN, measure="proxy")
    assert line(lines, "curr, proxy") == ["+1.0 / -0.3", "/ +1.2", ""]
    assert line(lines, "curr, ratio") == ["/ +0.8", "/ +3.3", ""]


def test_a_part_of_a_suite_says_so(tmp_path):
    lines = made(tmp_path, RUN, evaluated={"BEIR": 2, "MKQA": 25})
    assert line(lines, "Qwen1.5-0.5B", "uniform")[4] == "47.1 (2 of 15) / 47.5"
    assert line(lines, "Qwen1.5-0.5B", "top60")[3] == "60.0 /"


def test_a_preview_says_so(tmp_path):
    of_sample = row("qwen1.5-0.5b", "uniform", "BEIR", "ndcg_at_10", 0.7, preview="yes")
    assert line(made(tmp_path, [of_sample, *RUN[1:]]), "Qwen1.5-0.5B", "uniform")[4] == "70.0 (preview) / 47.5"


def test_the_papers_figures_are_complete():
    frame = pl.read_csv(PAPER)
    assert frame.filter(pl.col("table") == 3).height == 6 * 3 * 5
    assert not frame.select("table", "base", "mixture", "suite", "metric").is_duplicated().any()


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"results\.csv cannot be read"):
        tables(tmp_path / "results.csv", PAPER, "released", {}, tmp_path / "t.md")
    (tmp_path / "results.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="no column 'model'"):
        tables(tmp_path / "results.csv", PAPER, "released", {}, tmp_path / "t.md")
