import re

import polars as pl
import pytest
from finished import TASKS, Finished, content

from tdro.report.weights.courses import drawn, read_courses


def test_figures_show_the_heaviest_task_first(tree):
    (course,) = drawn(tree.settings, tree.layout, read_courses(tree.settings, tree.layout))
    order = sorted(TASKS, key=lambda task: -tree.last[task])
    assert order != TASKS
    for figure in (course.losses, course.measurements):
        assert re.findall(rf">({'|'.join(TASKS)})<", figure) == order
    assert re.findall(rf">({'|'.join(TASKS)})  (0\.\d+)<", course.weights) == [
        (t, f"{tree.last[t]:.3f}") for t in order
    ]


def one(tree):
    (course,) = drawn(tree.settings, tree.layout, read_courses(tree.settings, tree.layout))
    return course


def test_the_numbers_behind_the_figures_stand_beside_them(tree, built):
    course = one(tree)
    frame = read_courses(tree.settings, tree.layout)[1]
    for task, (last, *_, first_measured, last_measured) in course.rows:
        mine = frame.filter(pl.col("task") == task).sort("step")
        assert last == f"{tree.last[task]:.3f}"
        assert first_measured == f"{mine['measurement'][:2].mean():.3f}"
        assert last_measured == f"{mine['measurement'][-2:].mean():.3f}"
    assert course.file == "results/tiny/seed1/tdro/trajectory.parquet"
    assert built.html.count('href="#course-1"') == 3 and 'id="course-1"' in built.html


def test_weights_that_span_decades_are_drawn_logarithmically(tmp_path):
    tree = Finished(tmp_path)
    assert ">weight<" in one(tree).weights
    small = pl.when(pl.col("task") == "news").then(1e-4).otherwise(pl.col("weight"))
    tree.change_course(small.alias("weight"))
    drawing = one(tree).weights
    assert ">weight (logarithmic)<" in drawing and ">news  &lt;0.001<" in drawing


@pytest.mark.parametrize(("tasks", "across"), [(["news", "code"], 2), (TASKS, 4)])
def test_panels_fill_the_figure_whatever_their_number(tmp_path, tasks, across):
    tree = Finished(tmp_path, content(tasks=tasks, benchmarks={"in_domain": tasks[:1]}))
    places = re.findall(rf'x="([0-9.]+)" y="[0-9.]+"[^>]*>(?:{"|".join(tasks)})<', one(tree).losses)
    left = list(map(float, places))
    assert len(left) == across and max(left) >= 720 * (across - 1) / across - 40
