import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from finished import Finished, content


def test_page_is_self_contained(built):
    assert not [tag for tag, _ in built.tags if tag in ("script", "link", "img", "iframe", "object")]
    addresses = [v for _, attributes in built.tags for k, v in attributes.items() if k in ("src", "href", "xlink:href")]
    assert all(address.startswith("#") for address in addresses)
    assert set(re.findall(r"https?://[^\s\"'<)]+", built.html)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"url\((?!#)", built.html) and "@import" not in built.html


def test_same_inputs_give_the_same_bytes(tree, built):
    files = [tree.root / "report/index.html", tree.root / "report/results.csv"]
    before = [file.read_bytes() for file in files]
    tree.report()
    assert [file.read_bytes() for file in files] == before


def test_texts_are_escaped_in_tables_and_figures(tmp_path):
    tree = Finished(tmp_path, script="<script>alert(1)</script>")
    tree.change_course(pl.col("task").str.replace("code", "<script>$x$", literal=True))
    html = tree.report().html
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html and "&lt;script&gt;$x$" in html


def test_uniform_alone_needs_no_trajectory(tmp_path):
    tree = Finished(tmp_path, content(mixtures=["uniform"], courses=[]))
    assert not Path(tree.run(1, "tdro/trajectory.parquet")).exists()
    report = tree.report()
    assert "nothing to compare" in report.html and "How the weights were learnt" not in report.html
    assert "interval" not in report.summary and {row["mixture"] for row in report.rows} == {"uniform"}


def test_a_forecast_stands_beside_what_was_measured(tree, built):
    assert "Forecast and measured" in built.text
    assert re.search(r"train 2 2 min 30 s 2 min 10 s 0\.87", " ".join(built.text.split()))
    assert "rates: stated" in built.text
    (tree.root / "logs/forecast.json").rename(tree.root / "forecast.json")
    without = tree.report().text
    (tree.root / "forecast.json").rename(tree.root / "logs/forecast.json")
    tree.report()
    assert "Forecast and measured" not in without


def test_missing_job_records_are_said(tmp_path):
    tree = Finished(tmp_path / "made")
    (tmp_path / "made/logs").rename(tmp_path / "logs")
    assert "Snakemake recorded no job." in tree.report().html


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"mixtures": ["curr"]}, "uniform"), ({"benchmarks": {"in_domain": []}}, "lists no dataset")],
)
def test_content_needs_the_baseline_and_datasets(changes, message):
    with pytest.raises(ValueError, match=message):
        content(**changes)


def test_the_report_loads_no_model_library():
    code = "import sys, tdro.report.report; assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
