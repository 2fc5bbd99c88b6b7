"""`tdro why`: figures, lines and texts of the reasons for a weight."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from everyartifact import MODEL, SEED, STEPS, as_json, course, write_all

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import TRAJECTORY
from tdro.errors import UserError
from tdro.report.show.output import plain
from tdro.report.show.reasons import of_task
from tdro.report.show.view import Asked


def why(results, task="code", course="tdro", model=None, seed=None, asked=Asked()):  # noqa: B008
    return of_task(Path(results), task, course, model, seed, asked)


def test_a_task_has_its_figures_and_the_rows_that_it_owes_its_weight_to(layout):
    view = why(layout.results)
    content, text = as_json(view), plain(view)
    assert content["conclusion"].startswith("code rose from 0.500 to 0.800 (1.6 times its start, 1st of 2 tasks)")
    assert content["reference"]["distinct"] == 3
    assert content["weight"][-1] == pytest.approx(0.8) and len(content["step"]) == STEPS
    assert [row["share"] for row in content["rows"]] == pytest.approx([0.6, 0.3])
    assert content["rows"][0]["texts"][1]["text"] == "A title code answer 0"
    assert "below its own in 12 of 12 steps" in text and "code question 1" in text and "1 of 2" in text
    assert len(as_json(why(layout.results, asked=Asked(rows=1)))["rows"]) == 1


def test_without_a_task_each_has_a_sentence(layout):
    said = [one["conclusion"].split()[0] for one in as_json(why(layout.results, None))["tasks"]]
    assert said == ["code", "news"]


def test_other_seeds_stand_beside(tmp_path):
    layout = write_all(tmp_path)
    write_table(layout.run(MODEL, 7, "tdro/trajectory.parquet"), course(np.linspace(0.5, 0.6, 5)), TRAJECTORY)
    assert as_json(why(layout.results))["other_seeds"] == {"7": pytest.approx(0.6)}
    view = why(layout.results, seed=7)
    assert as_json(view)["ended"] == pytest.approx(0.6) and "seed 1: 0.800" in plain(view)
    assert "No row moved its weight." in plain(view)  # of that seed nothing but the course is there


def test_files_that_are_gone_leave_out_what_they_tell(tmp_path):
    layout = write_all(tmp_path)
    for name in ("tdro/reference.parquet", "tdro/heaviest_rows.parquet", "weights/uniform.json"):
        Path(layout.run(MODEL, SEED, name)).unlink()
    content = as_json(why(layout.results))
    assert content["reference"] == {} and content["rows"] == [] and content["started"] == 0.5
    shutil.rmtree(Path(layout.results) / MODEL)
    with pytest.raises(UserError, match=r"has no run with tdro/trajectory\.parquet"):
        why(layout.results)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"task": "cod"}, "no weight was learnt for a task 'cod' .did you mean 'code'"),
        ({"course": "tdro-doremi"}, "no run with tdro-doremi/trajectory.parquet"),
        ({"model": "big"}, "no run of model 'big' has tdro/trajectory.parquet; those of tiny have"),
        ({"asked": Asked(rows=0)}, "--rows is 0"),
    ],
)
def test_what_is_not_there_is_said(layout, arguments, said):
    with pytest.raises(UserError, match=said):
        why(layout.results, **arguments)
