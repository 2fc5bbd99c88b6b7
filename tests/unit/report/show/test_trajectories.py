from pathlib import Path

import pytest
from everyartifact import MODEL, RISING, SEED, as_json

from tdro.report.show.drawing import bar, binned, sparkline
from tdro.report.show.output import plain
from tdro.report.show.show import show
from tdro.report.show.view import Asked


def test_lines_go_from_the_lowest_to_the_highest():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1, None, float("nan"), 2]) == "▁  █"
    assert sparkline([3, 3]) == "▅▅"
    assert sparkline([]) == sparkline([None]) == ""
    assert sparkline([0.5, 1], low=0, high=2) == "▃▅"


def test_bars_count_eighths():
    assert [bar(share, 2) for share in (0, 1 / 16, 0.5, 0.75, 1, 7)] == ["", "▏", "█", "█▌", "██", "██"]


def test_bins_are_means_of_what_is_known():
    assert binned([1, 3, None, None, 5], 3) == [2, None, 5]
    assert binned([1, 2], 3) == [1, 2]


def test_a_trajectory_has_a_line_a_task_the_heaviest_first(layout):
    view = show([Path(layout.run(MODEL, SEED, "tdro/trajectory.parquet"))], Asked())
    code, news = as_json(view)["content"]["tasks"]
    assert (code["task"], news["task"]) == ("code", "news")
    assert code["weights"] == pytest.approx(list(RISING))
    lines = {line.split()[0]: line for line in plain(view).splitlines() if line[1:5] in ("code", "news")}
    assert lines["code"].split()[1:3] == ["0.5000", "0.8000"] and lines["code"].split()[-2:] == ["0.900", "0.600"]
    rising = lines["code"].split()[3]
    assert list(rising) == sorted(rising) and rising[-1] == "█"
    falling = lines["news"].split()[3]
    assert list(falling) == sorted(falling, reverse=True) and falling[-1] == "▁"


def test_heaviest_rows_have_their_texts_and_shares(layout):
    view = show([Path(layout.run(MODEL, SEED, "tdro/heaviest_rows.parquet"))], Asked())
    assert "code: 60.0% of what moved its weight, 1.8 times the average row; drawn 4 times" in plain(view)
    assert "news question 2" in plain(view)
    assert as_json(view)["content"]["rows"][0]["share"] == pytest.approx(0.6)
