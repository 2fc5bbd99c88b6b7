import subprocess
import sys
from collections import Counter
from itertools import combinations, groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tdro.artifacts.files import read_counts, read_table, write_table
from tdro.artifacts.lists import Lists
from tdro.artifacts.schemas import PLAN, TRAIN
from tdro.config.commands import Bag, PlanJob
from tdro.errors import UserError
from tdro.mixtures.bags import in_bag
from tdro.mixtures.derive import uniform
from tdro.mixtures.plan import TrainingFiles, make_plan, plan_training
from tdro.mixtures.repetition import count_repetitions, drawn_queries, report_repetitions
from tdro.mixtures.weights import Weights, write_weights


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


@settings(max_examples=60)
@given(
    rows=st.integers(2, 60),
    passages=st.integers(1, 60),
    batch_size=st.integers(2, 70),
    passes=st.integers(1, 3),
    layout=st.sampled_from(["homogeneous", "mixed"]),
    seed=st.integers(0, 100),
)
def test_every_row_comes_once_a_pass_however_many_share_a_passage(rows, passages, batch_size, passes, layout, seed):
    data = {"x": task(rows, passages, seed=seed, negatives=3)}
    steps = -(-rows * passes // batch_size)
    table = make_plan(data, {"x": 1.0}, layout=layout, steps=steps, batch_size=batch_size, negatives=0, seed=seed)
    drawn = Counter(table["query"].to_pylist())
    whole, rest = divmod(steps * batch_size, rows)
    assert sorted(drawn[query] for query in range(rows)) == [whole] * (rows - rest) + [whole + 1] * rest


def test_many_questions_of_few_answers_are_drawn_like_all_others():
    """30 % of the rows have 20 answers between them, as in a help centre."""
    rng = np.random.default_rng(0)
    positives = [[int(rng.integers(20))] for _ in range(300)] + [[20 + i] for i in range(700)]
    rows = pa.table({"query": range(1000), "positives": positives, "negatives": [[]] * 1000}, schema=TRAIN)
    table = make_plan({"x": rows}, {"x": 1.0}, layout="homogeneous", steps=50, batch_size=20, negatives=0, seed=0)
    assert sorted(table["query"].to_pylist()) == list(range(1000))


def test_negatives_are_distinct_where_a_row_has_enough_and_come_evenly_where_not():
    candidates = [list(range(10, 10 + n)) for n in (1, 2, 3, 8, 20)]
    rows = pa.table({"query": range(5), "positives": [[q] for q in range(5)], "negatives": candidates}, schema=TRAIN)
    table = make_plan({"x": rows}, {"x": 1.0}, layout="mixed", steps=400, batch_size=5, negatives=7, seed=0)
    chosen = {query: Counter() for query in range(5)}
    for row in table.to_pylist():
        times = Counter(row["negatives"])
        assert set(times) <= set(candidates[row["query"]])
        assert max(times.values()) - (min(times.values()) if len(times) == len(candidates[row["query"]]) else 0) <= 1
        chosen[row["query"]] += times
    for query, counted in chosen.items():
        expected = 400 * 7 / len(candidates[query])
        assert counted.keys() == set(candidates[query])
        assert all(abs(n - expected) < 6 * expected**0.5 + 1 for n in counted.values()), "every candidate alike"


def test_a_row_without_negatives_borrows_distinct_positives_of_others():
    positives = [[0, 1], [2], [3], [4, 5], [5]]
    rows = pa.table({"query": range(5), "positives": positives, "negatives": [[]] * 5}, schema=TRAIN)
    table = make_plan({"x": rows}, {"x": 1.0}, layout="mixed", steps=50, batch_size=5, negatives=3, seed=0)
    for row in table.to_pylist():
        assert len(set(row["negatives"])) == 3
        assert not set(row["negatives"]) & set(positives[row["query"]])


def test_fresh_rows_are_those_that_the_baseline_has_not_drawn_while_there_are_any():
    shape = {"steps": 4, "negatives": 1, "seed": 3}
    baseline = make_plan(TASKS, WEIGHTS, layout="homogeneous", batch_size=50, **shape)
    drawn = drawn_queries(baseline)
    fresh = make_plan(TASKS, {"a": 1.0}, layout="mixed", batch_size=100, drawn=drawn, **shape)
    same = make_plan(TASKS, {"a": 1.0}, layout="mixed", batch_size=100, **shape)
    assert len(drawn["a"]) == 100
    assert not set(fresh["query"].to_pylist()) & set(drawn["a"].tolist())
    assert count_repetitions(fresh, baseline)["a"] == {
        "rows drawn": 400,
        "drawn again": 0,
        "drawn by the baseline, too": 0,
        "with a negative twice": 0,
    }
    assert count_repetitions(same, baseline)["a"]["drawn by the baseline, too"] == 100


def test_dev_rows_are_drawn_again_and_again_and_counted(tmp_path):
    for file, first in (("train", 0), ("dev", 50)):
        rows = {"query": range(first, first + 5), "positives": [[1]] * 5, "negatives": [[2, 3]] * 5}
        write_table(tmp_path / f"data/a/{file}.parquet", rows, TRAIN)
    write_weights(tmp_path / "w.json", uniform({"a": 5}))
    job = PlanJob(layout="mixed", steps=3, batch_size=4, negatives=1, seed=1, rows="dev")
    plan_training(tmp_path / "w.json", tmp_path, tmp_path / "plan.parquet", job)
    drawn = read_table(tmp_path / "plan.parquet", PLAN)["query"].to_pylist()
    assert set(drawn) == {50, 51, 52, 53, 54}
    assert read_counts(tmp_path / "plan.parquet")["a"]["drawn again"] == 7


def test_a_task_without_fresh_rows_left_is_drawn_by_chance():
    baseline = make_plan(TASKS, {"c": 1.0}, layout="homogeneous", steps=10, batch_size=4, negatives=1, seed=3)
    assert len(drawn_queries(baseline)["c"]) == 40, "all of it"
    plan = {"layout": "mixed", "steps": 5, "batch_size": 8, "negatives": 1, "seed": 3}
    table = make_plan(TASKS, {"c": 1.0}, drawn=drawn_queries(baseline), **plan)
    assert sorted(table["query"].to_pylist()) == list(range(40))


def test_the_same_rows_are_the_baselines_first_ones_in_its_order():
    shape = {"negatives": 1, "seed": 3}
    baseline = make_plan(TASKS, {"a": 1.0}, layout="homogeneous", steps=20, batch_size=20, **shape)
    mixed = make_plan(TASKS, {"a": 1.0}, layout="mixed", steps=10, batch_size=20, **shape)
    for start in range(0, 200, 20):
        rows = slice(start, start + 20)
        assert sorted(baseline["query"].to_pylist()[rows]) == sorted(mixed["query"].to_pylist()[rows])


def test_what_a_plan_repeats_is_counted_and_said(caplog):
    rows = pa.table(
        {"query": [0, 1, 2], "positives": [[0], [1], [2]], "negatives": [[5], [5, 6, 7], [6, 7, 8]]}, schema=TRAIN
    )
    table = make_plan({"x": rows}, {"x": 1.0}, layout="homogeneous", steps=2, batch_size=6, negatives=3, seed=0)
    counts = count_repetitions(table)
    assert counts == {"x": {"rows drawn": 12, "drawn again": 9, "with a negative twice": 4}}
    caplog.set_level("INFO")
    report_repetitions(counts, {"x": 3}, batch_size=6)
    assert "4.00 passes over its 3 rows" in caplog.text
    assert "x: 4 of 12 rows name a negative twice" in caplog.text
    assert "x: a batch of 6 rows holds its 3 rows more than once" in caplog.text


def test_rows_with_few_negatives_repeat_them_and_rows_with_none_borrow_another_rows_positive():
    rows = pa.table({"query": [0, 1], "positives": [[0], [1]], "negatives": [[5], []]}, schema=TRAIN)
    table = make_plan({"x": rows}, {"x": 1.0}, layout="mixed", steps=4, batch_size=2, negatives=3, seed=0)
    assert {row["query"]: row["negatives"] for row in table.to_pylist()} == {0: [5, 5, 5], 1: [0, 0, 0]}


@pytest.mark.parametrize("percent", [1, 30, 80, 100])
def test_a_plan_on_a_bag_draws_that_share_of_each_tasks_rows_and_no_other(percent, tmp_path):
    for name, rows in TASKS.items():
        write_table(tmp_path / f"data/{name}/train.parquet", rows, TRAIN)
    write_weights(tmp_path / "w.json", Weights(WEIGHTS, {name: rows.num_rows for name, rows in TASKS.items()}))
    seen = {}
    for draw in ((1, 3), (2, 3), (1, 4)):
        shape = {"layout": "homogeneous", "steps": 300, "batch_size": 16, "negatives": 1, "seed": draw[1]}
        job = PlanJob(**shape, bag={"percent": percent, "number": draw[0]})
        plan_training(tmp_path / "w.json", tmp_path, tmp_path / "plan.parquet", job)
        drawn = read_table(tmp_path / "plan.parquet", PLAN).to_pandas().groupby("task")["query"].agg(set)
        seen[draw] = drawn.to_dict()
    for name, rows in TASKS.items():
        expected = max(2, -(-rows.num_rows * percent // 100))
        assert [len(bag[name]) for bag in seen.values()] == [expected] * 3
        for one, other in combinations(seen.values(), 2):
            # Of two independent bags a row is in both as often as chance has it, within four standard deviations.
            by_chance = expected**2 / rows.num_rows
            assert abs(len(one[name] & other[name]) - by_chance) <= 4 * np.sqrt(expected * (1 - percent / 100)) + 1e-9


def test_a_row_that_goes_changes_a_bag_by_itself_alone():
    bag, rows = Bag(percent=50, number=4), TASKS["a"]
    before = set(in_bag("a", rows, bag, 3)["query"].to_pylist())
    gone = sorted(before)[3]
    kept = rows.filter(pc.not_equal(rows["query"], gone))
    after = set(in_bag("a", kept, bag, 3)["query"].to_pylist())
    assert before - after == {gone}
    assert len(after - before) <= 1


def test_unknown_and_tiny_tasks_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"'z'.*known are a, b, c"):
        plan("mixed", weights={"a": 0.5, "z": 0.5})
    with pytest.raises(UserError, match=r"name task 'z', but there is no .*z.train.parquet"):
        TrainingFiles(tmp_path, ["z"])
    with pytest.raises(UserError, match="'x' has 1 rows to draw from"):
        make_plan({"x": task(1, 2)}, {"x": 1.0}, layout="mixed", steps=1, batch_size=2, negatives=0, seed=0)


def test_the_rows_of_one_task_are_in_memory_at_a_time(tmp_path):
    names = [f"task{number}" for number in range(8)]
    for name in names:
        lists = Lists.of(np.arange(400_000, dtype=np.int32), np.full(100_000, 4)).arrow()
        table = pa.table({"query": range(100_000), "positives": lists, "negatives": lists}, schema=TRAIN)
        write_table(tmp_path / "data" / name / "train.parquet", table, TRAIN)
    held = []

    class Watched(TrainingFiles):
        def __getitem__(self, name):
            held.append(pa.total_allocated_bytes())
            return super().__getitem__(name)

    files = Watched(tmp_path, names)
    make_plan(files, dict.fromkeys(names, 1 / 8), layout="mixed", steps=2, batch_size=8, negatives=1, seed=0)
    assert len(held) == 8
    assert files.sizes == dict.fromkeys(names, 100_000)
    assert max(held) - held[0] < 2 * table.nbytes


def test_planning_loads_no_model_library():
    code = "import sys, tdro.mixtures.plan; assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
