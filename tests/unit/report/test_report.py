import re
import socket
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from finished import Finished, content

from tdro.artifacts.files import read_json, write_json
from tdro.report import figures, report


def test_page_is_self_contained(built):
    assert not [tag for tag, _ in built.tags if tag in ("link", "img", "iframe", "object")]
    assert [attributes for tag, attributes in built.tags if tag == "script"] == [{}]
    assert "default-src 'none'" in built.html
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
    assert html.count("<script") == 1 and "<script>alert" not in html
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


def test_what_says_nothing_is_left_out(tree, built, tmp_path):
    """Sections without content, meanings of mixtures that were not run, a corrected p that equals the other."""
    for heading in ("Time and memory", "Rows kept and dropped"):
        assert f"<h2>{heading}</h2>" in built.html and f'">{heading}</a>' in built.html
    assert "topP : the heaviest" in built.text and "unimaxN" not in built.text and "doremi" not in built.text
    few = Finished(tmp_path / "made", content(mixtures=["uniform", "curr"], benchmarks={"scifact": ["scifact"]}))
    (tmp_path / "made/logs").rename(tmp_path / "logs")
    text = few.report().text
    assert "Time and memory" not in text and "Texts that were cut" not in text and "Shorter embeddings" not in text
    assert re.search(r"\] p [0-9.<]+ effect", text) and "Holm 0" not in text and "topP" not in text


def test_the_page_may_be_handed_on(tmp_path):
    """Neither folders of this machine nor its name stand on the page or in the table."""
    tree = Finished(tmp_path / "made", content(untrained=["bm25"]))
    tree.untrained("bm25", 0.3)
    forecast = tree.root / "logs/forecast.json"
    made = read_json(forecast) | {"said": [f"rates of {tmp_path}/bases/minilm: measured", "a/b and 1/2 stay"]}
    write_json(forecast, made)
    report = tree.report()
    assert "rates of minilm: measured" in report.text and "a/b and 1/2 stay" in report.text
    for shown in (report.html, (tree.root / "report/results.csv").read_text(encoding="utf-8")):
        assert str(tmp_path) not in shown and socket.gethostname() not in re.findall(r"[\w.-]+", shown)
        assert not re.search(r"(?<![\w<.*/])/(?:home|root|tmp|Users|mnt|var|scratch)/", shown)


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


def test_the_hues_of_figures_can_be_seen_in_light_and_in_dark():
    """Three to one against both grounds, as WCAG asks of what is not text."""
    style = Path(report.__file__).with_name("page.css").read_text(encoding="utf-8")
    light, dark = re.findall(r"--page: (#[0-9a-f]+)", style)[:2]
    for hue in figures.HUES:
        assert _contrast(hue, light) >= 3 <= _contrast(hue, dark), hue


def _contrast(*colours):
    lights = []
    for colour in colours:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
        lights.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    return (max(lights) + 0.05) / (min(lights) + 0.05)
