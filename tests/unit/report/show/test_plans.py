from pathlib import Path

import pytest
from everyartifact import MIXTURE, MODEL, SEED, STEPS, as_json

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import PLAN
from tdro.report.show.output import plain
from tdro.report.show.show import show
from tdro.report.show.view import Asked


def test_a_plan_shows_shares_passes_and_their_course(layout):
    path = Path(layout.run(MODEL, SEED, f"{MIXTURE}/plan.parquet"))
    view = show([path], Asked())
    code, news = as_json(view)["content"]["tasks"]
    # The tasks take turns, a batch each; of the three rows of each every one is drawn four times.
    assert (code["rows"], code["distinct"], news["rows"]) == (STEPS, 3, STEPS)
    assert code["course"] == [1.0, 0.0] * (STEPS // 2) and news["course"] == [0.0, 1.0] * (STEPS // 2)
    (line,) = [line for line in plain(view).splitlines() if line.split()[:1] == ["code"]]
    assert line.split()[1:3] == ["12", "50.0%"] and line.split()[-3:] == ["4.0", "75%", "█▁" * (STEPS // 2)]
    assert "12 steps of 2 rows" in plain(view)


def test_rows_of_a_plan_have_texts_when_asked_for(layout):
    path = Path(layout.run(MODEL, SEED, "tdro/plan.parquet"))
    assert "examples" not in as_json(show([path], Asked()))["content"]
    (example,) = as_json(show([path], Asked(row=3)))["content"]["examples"]
    assert example["name"] == "row 3: step 1, slot 1, news"
    assert [text["text"] for text in example["texts"]] == ["news question 1", "news answer 1", "news answer 4"]


def test_an_empty_plan_is_shown_as_such(tmp_path):
    write_table(tmp_path / "plan.parquet", PLAN.empty_table(), PLAN)
    assert "The plan is empty" in plain(show([tmp_path / "plan.parquet"], Asked()))


def test_reference_losses_are_summed_up_by_task(layout):
    path = Path(layout.run(MODEL, SEED, "tdro/reference.parquet"))
    news, code = as_json(show([path], Asked()))["content"]["tasks"]
    losses = [0.1 * (row + 1) for row in range(2 * STEPS)]
    assert (news["task"], news["rows"], code["rows"]) == ("news", STEPS, STEPS)
    assert news["mean"] == pytest.approx(sum(losses[1::2]) / STEPS)
    assert code["largest"] == pytest.approx(max(losses[::2]))
