import subprocess
import sys
from collections import Counter
from itertools import groupby

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tdro.artifacts import PLAN, TRAIN
from tdro.errors import UserError
from tdro.plan import make_plan, read_tasks


def task(rows, passages, *, seed=0, negatives=5):
    rng = np.random.default_rng(seed)
    positives = [[int(rng.integers(passages))] for _ in range(rows)]
    others = [[int(n) for n in rng.integers(passages, size=negatives) if n not in p] for p in positives]
    return pa.table({"query": range(rows), "positives": positives, "negatives": others}, schema=TRAIN)


TASKS = {"a": task(500, 400), "b": task(300, 60, seed=1), "c": task(40, 40, seed=2)}
WEIGHTS = {"a": 0.5, "b": 0.3, "c": 0.2}


def plan(layout, **changes):
    arguments = {"steps": 40, "batch_size": 16, "negatives": 2, "seed": 7} | changes
    return make_plan(
        TASKS, changes.pop("weights", WEIGHTS), layout=layout, **{k: arguments[k] for k in arguments if k != "weights"}
    )


def steps(table):
    return [list(rows) for _, rows in groupby(table.to_pylist(), key=lambda row: row["step"])]


@pytest.mark.parametrize("layout", ["homogeneous", "mixed"])
def test_shape_and_order(layout):
    table = plan(layout)
    assert table.schema.equals(PLAN)
    assert table["step"].to_pylist() == [s for s in range(40) for _ in range(16)]
    assert table["slot"].to_pylist() == list(range(16)) * 40
    assert all(len(n) == 2 for n in table["negatives"].to_pylist())


@pytest.mark.parametrize("layout", ["homogeneous", "mixed"])
def test_rows_are_training_rows(layout):
    for row in plan(layout).to_pylist():
        data = TASKS[row["task"]]
        assert row["positive"] in data["positives"][row["query"]].as_py()
        assert set(row["negatives"]) <= set(data["negatives"][row["query"]].as_py())


@pytest.mark.parametrize("layout", ["homogeneous", "mixed"])
def test_the_same_seed_gives_the_same_plan_and_another_another(layout):
    assert plan(layout).equals(plan(layout))
    assert not plan(layout).equals(plan(layout, seed=8))


def test_a_homogeneous_step_holds_one_task_and_steps_follow_the_weights():
    table = plan("homogeneous", steps=50)
    assert all(len({row["task"] for row in rows}) == 1 for rows in steps(table))
    assert Counter(rows[0]["task"] for rows in steps(table)) == {"a": 25, "b": 15, "c": 10}


def test_every_mixed_step_follows_the_weights_to_the_row():
    for rows in steps(plan("mixed", batch_size=10)):
        assert Counter(row["task"] for row in rows) == {"a": 5, "b": 3, "c": 2}


@settings(max_examples=60)
@given(
    st.lists(st.floats(0.001, 1), min_size=2, max_size=6),
    st.integers(1, 30),
    st.integers(0, 1000),
    st.sampled_from(["homogeneous", "mixed"]),
)
def test_shares_are_rounded_down_or_up(weights, total, seed, layout):
    tasks = {str(i): task(30, 30, seed=i) for i in range(len(weights))}
    shape = {"steps": total, "batch_size": 2} if layout == "homogeneous" else {"steps": 1, "batch_size": total}
    table = make_plan(tasks, {str(i): w for i, w in enumerate(weights)}, layout=layout, negatives=0, seed=seed, **shape)
    counts = Counter(table["task"].to_pylist())
    assert table.num_rows == shape["steps"] * shape["batch_size"]
    for name, weight in enumerate(weights):
        parts = counts[str(name)] / (2 if layout == "homogeneous" else 1)
        assert abs(parts - weight / sum(weights) * total) < 1 + 1e-6


def test_light_tasks_are_drawn_as_often_as_they_should_on_average():
    draws = [plan("homogeneous", steps=3, weights={"a": 0.9, "b": 0.1}, seed=s) for s in range(300)]
    share = np.mean([rows[0]["task"] == "b" for table in draws for rows in steps(table)])
    assert share == pytest.approx(0.1, abs=0.03)


def test_every_row_is_used_once_before_any_is_used_twice():
    table = plan("mixed", weights={"a": 1.0}, steps=75, batch_size=20)
    queries = table["query"].to_pylist()
    for start in (0, 500, 1000):
        assert sorted(queries[start : start + 500]) == list(range(500))


def test_no_passage_of_a_homogeneous_batch_answers_another_query():
    table = plan("homogeneous", steps=120, weights={"a": 0.5, "b": 0.5})
    for rows in steps(table):
        answers = [set(TASKS[row["task"]]["positives"][row["query"]].as_py()) for row in rows]
        for mine in range(len(rows)):
            others = {p for at, row in enumerate(rows) if at != mine for p in (row["positive"], *row["negatives"])}
            assert not answers[mine] & others
        assert len({row["query"] for row in rows}) == len(rows)


def test_a_task_too_small_to_avoid_contradictions_still_fills_its_batches(caplog):
    tasks = {"tiny": task(8, 3)}
    table = make_plan(tasks, {"tiny": 1.0}, layout="homogeneous", steps=3, batch_size=8, negatives=1, seed=0)
    assert table.num_rows == 24
    assert "share a passage or query" in caplog.text


def test_rows_with_few_negatives_repeat_them_and_rows_with_none_borrow_another_rows_positive():
    rows = pa.table({"query": [0, 1], "positives": [[0], [1]], "negatives": [[5], []]}, schema=TRAIN)
    table = make_plan({"x": rows}, {"x": 1.0}, layout="mixed", steps=4, batch_size=2, negatives=3, seed=0)
    assert {row["query"]: row["negatives"] for row in table.to_pylist()} == {0: [5, 5, 5], 1: [0, 0, 0]}


def test_unknown_and_tiny_tasks_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"'z'.*known are a, b, c"):
        plan("mixed", weights={"a": 0.5, "z": 0.5})
    with pytest.raises(UserError, match=r"name task 'z', but there is no .*z.train.parquet"):
        read_tasks(tmp_path, ["z"])
    with pytest.raises(UserError, match="'x' has 1 training rows"):
        make_plan({"x": task(1, 2)}, {"x": 1.0}, layout="mixed", steps=1, batch_size=2, negatives=0, seed=0)


def test_planning_loads_no_model_library():
    code = "import sys, tdro.plan; assert not {'torch', 'transformers', 'datasets'} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
