import re

import numpy as np
import polars as pl
import pytest
import scipy.stats
from finished import Finished, content


def test_other_runs_of_tdro_are_compared_with_the_main_one(tmp_path):
    tree = Finished(tmp_path, content(courses=["tdro", "tdro-doremi", "tdro-ratio-0.05"], seeds=[1, 2]))
    course = tree.change_course(pl.col("weight").reverse().over("step"), seed=2, course="tdro-ratio-0.05")
    html = tree.report().html.partition("Other runs of tDRO")[2].partition("</table>")[0]
    rows = re.findall(r"<tr><th[^>]*>([a-z.0-9-]+)</th><td[^>]*>([\d.]+)</td><td[^>]*>(-?[\d.]+)</td>", html)
    last = course.filter(pl.col("step") == course["step"].max())["weight"].to_numpy()
    distance = np.abs(last - last[::-1]).sum() / 2 / 2  # of the second seed only, halved by the mean over both
    agreement = (1 + scipy.stats.spearmanr(last, last[::-1]).statistic) / 2
    assert [row[0] for row in rows] == ["doremi", "ratio-0.05"]
    assert [float(value) for value in rows[0][1:]] == [0, 1]
    assert [float(value) for value in rows[1][1:]] == pytest.approx([distance, agreement], abs=0.006)


def test_the_report_says_what_reusing_reference_losses_saved(tmp_path):
    tree = Finished(tmp_path, content(courses=["tdro", "tdro-doremi"]))
    assert "read by 2 runs of tDRO each" not in tree.report().html
    (tmp_path / "logs/reference").mkdir()
    (tmp_path / "logs/reference/tiny.seed1.tsv").write_text("s\th:m:s\tmax_rss\n90\t0:01:30\t100\n")
    assert "(1 min 30 s in all) and read by 2 runs of tDRO each" in tree.report().html
