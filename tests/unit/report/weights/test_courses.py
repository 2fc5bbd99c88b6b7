import re

from finished import TASKS

from tdro.report.weights.courses import drawn, read_courses


def test_figures_show_the_heaviest_task_first(tree):
    (course,) = drawn(read_courses(tree.settings, tree.layout))
    order = sorted(TASKS, key=lambda task: -tree.last[task])
    assert order != TASKS
    for figure in (course.losses, course.measurements):
        assert re.findall(rf">({'|'.join(TASKS)})<", figure) == order
    assert re.findall(rf">({'|'.join(TASKS)})  (0\.\d+)<", course.weights) == [
        (t, f"{tree.last[t]:.3f}") for t in order
    ]
