"""The choice on dev beside figures of a made report."""

import re

import pytest
from devstudies import DEV, job, write
from finished import Finished, content

from tdro.artifacts.files import read_json
from tdro.artifacts.layout import StudyFiles
from tdro.errors import UserError
from tdro.report.study.overview import overview
from tdro.report.study.recommend import recommend

MIXTURES = ["uniform", "curr", "top50"]


@pytest.fixture
def made(tmp_path):
    """A project with a report in which `top50` wins, and dev scores by which `curr` does."""
    tree = Finished(tmp_path, content(seeds=[1, 2], mixtures=MIXTURES), shift={"curr": -0.05, "top50": 0.1})
    tree.report()
    settings = job(seeds=[1, 2, 3, 4, 5], mixtures=MIXTURES, trainings={"uniform": 1, "curr": 3.11, "top50": 3.11})
    write(tree.layout, settings, {"curr": 0.03})
    recommend(settings, tree.layout, tree.layout.recommendation)
    return tree


def shown(tree):
    files = StudyFiles(*(str(tree.root / name) for name in ("study.json", "study.txt")))
    text = overview(tree.layout.recommendation, tree.root / "report/results.csv", files)
    assert (tree.root / "study.txt").read_text() == text
    return text, read_json(files.json)["models"]["tiny"]


def test_dev_chooses_whatever_the_report_says(made):
    text, found = shown(made)
    assert found["recommended"] == "curr" and found["sentence"].startswith("Train on curr: +0.0")
    assert found == read_json(made.layout.recommendation)["models"]["tiny"] | {"mixtures": found["mixtures"]}
    reported = found["mixtures"]["top50"]["reported"]
    row = made.report().row("out_of_domain", "top50")
    assert reported["out_of_domain"]["difference"] == pytest.approx(row["difference"])
    assert (reported["out_of_domain"]["p_holm"], reported["in_domain"]["metric"]) == (row["p_holm"], "ndcg_at_10")
    # A table by which was chosen, then one that chose nothing, then the sentence.
    assert text.index("what the choice was made by") < text.index("what is reported") < text.index("Train on curr")


def test_tables_hold_the_figures_and_stay_narrow(made):
    text, found = shown(made)
    assert text.isascii() and max(map(len, text.splitlines())) <= 120
    on = found["mixtures"]["curr"]["reciprocal_rank"]
    cells = [f"{on['dev']['difference']:+.3f} [{on['dev']['low']:+.3f}, {on['dev']['high']:+.3f}] *"]
    cells += [f"| {on[name]['difference']:+.3f} |" for name in DEV]
    line = next(line for line in text.splitlines() if re.match(r"\| curr +\| +3\.1 \|", line))
    assert (
        all(re.sub(" +", " ", cell) in re.sub(" +", " ", line) for cell in cells)
        and f"{on['dev']['effect']:+.2f}" in line
    )


def test_a_report_without_the_mixture_is_refused(made):
    table = made.root / "report/results.csv"
    table.write_text("\n".join(line for line in table.read_text().splitlines() if ",top50," not in line) + "\n")
    with pytest.raises(UserError, match=r"results\.csv has no scores of top50 of tiny"):
        shown(made)
