import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdro.artifacts.files import write_json, write_table
from tdro.artifacts.schemas import TRAIN, TRAJECTORY
from tdro.config.experts import Experts
from tdro.config.mixturenames import Mixture, of_sizes, parse
from tdro.errors import UserError
from tdro.mixtures.derive import derive, uniform
from tdro.mixtures.weights import Weights, read_weights, write_weights

RELEASED = Path(__file__).parents[3] / "resources" / "released_weights"


@pytest.mark.parametrize("percent", range(20, 100, 10))
def test_top_tasks_of_the_released_weights_are_the_released_files(percent, tmp_path):
    mixture = f"top{percent}"
    write_weights(tmp_path / "top.json", derive([RELEASED / "curr.json"], mixture))
    ours, theirs = (
        json.loads((tmp_path / "top.json").read_text()),
        json.loads((RELEASED / f"{mixture}.json").read_text()),
    )
    assert set(ours) == set(theirs) | {"written"}
    for key in theirs:
        assert set(ours[key]) == set(theirs[key]), key
        if key != "domain_ids":
            assert ours[key] == pytest.approx(theirs[key], rel=1e-12), key


@pytest.mark.parametrize("name", ["uniform", "curr", "mean", "ema", "top70"])
def test_released_files_are_read_and_written_alike(name, tmp_path):
    write_weights(tmp_path / "copy.json", read_weights(RELEASED / f"{name}.json"))
    ours, theirs = json.loads((tmp_path / "copy.json").read_text()), json.loads((RELEASED / f"{name}.json").read_text())
    assert ours["domain_ids"] == theirs["domain_ids"]
    for key in ("domain_weights", "size", "epoch"):
        assert ours[key] == pytest.approx(theirs[key], rel=1e-12)


def trajectory(path, steps=(0, 1)):
    rows = [(s, t) for s in steps for t in ("a", "b", "c")]
    columns = {name: [0.0] * len(rows) for name in TRAJECTORY.names}
    columns |= {
        "step": [s for s, _ in rows],
        "task": [t for _, t in rows],
        "size": [{"a": 10, "b": 20, "c": 70}[t] for _, t in rows],
        "rows": [1] * len(rows),
        "weight": [{"a": 0.5, "b": 0.3, "c": 0.2}[t] if s == max(steps) else 1 / 3 for s, t in rows],
        "mean": [{"a": 0.4, "b": 0.35, "c": 0.25}[t] for _, t in rows],
        "ema": [{"a": 0.36, "b": 0.33, "c": 0.31}[t] for _, t in rows],
    }
    write_table(path, columns, TRAJECTORY)
    return path


@pytest.mark.parametrize(
    ("mixture", "expected"),
    [
        ("curr", {"a": 0.5, "b": 0.3, "c": 0.2}),
        ("mean", {"a": 0.4, "b": 0.35, "c": 0.25}),
        ("ema", {"a": 0.36, "b": 0.33, "c": 0.31}),
        ("uniform", {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}),
        ("longer", {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}),
        ("top70", {"a": 0.5, "b": 0.5}),
        ("top34", {"a": 1.0}),
        ("loss", {"a": 0.5, "b": 0.3, "c": 0.2}),
        ("bottom70", {"b": 0.5, "c": 0.5}),
        ("bottom34", {"c": 1.0}),
        ("proportional", {"a": 0.1, "b": 0.2, "c": 0.7}),
        ("temperature1", {"a": 0.1, "b": 0.2, "c": 0.7}),
        ("temperature2", {t: n**0.5 / sum(m**0.5 for m in (10, 20, 70)) for t, n in (("a", 10), ("b", 20), ("c", 70))}),
    ],
)
def test_mixtures_of_a_trajectory(mixture, expected, tmp_path):
    weights = derive([trajectory(tmp_path / "trajectory.parquet")], mixture)
    assert weights.weights == pytest.approx(expected)
    assert weights.sizes == {t: {"a": 10, "b": 20, "c": 70}[t] for t in expected}


DRAWN = {"a": 0.5, "b": 0.3, "c": 0.2}


@pytest.mark.parametrize("source", ["trajectory.parquet", "w.json"])
def test_shuffled_weights_are_those_of_curr_on_other_tasks(source, tmp_path, caplog):
    caplog.set_level("INFO")
    trajectory(tmp_path / "trajectory.parquet")
    write_weights(tmp_path / "w.json", Weights(DRAWN, {"a": 10, "b": 20, "c": 70}))
    found = {}
    for number in range(40):
        for seed in (1, 2):
            caplog.clear()
            weights = derive([tmp_path / source], f"shuffled-{number}", seed=seed)
            assert weights == derive([tmp_path / source], f"shuffled-{number}", seed=seed)
            assert sorted(weights.weights.values()) == sorted(DRAWN.values()) and list(weights.weights) == [
                "a",
                "b",
                "c",
            ]
            assert weights.weights != DRAWN and weights.sizes == {"a": 10, "b": 20, "c": 70}
            said = [line.split(" gets the weight of ") for line in caplog.messages]
            givers = {task: rest.split(":")[0] for task, rest in said}
            assert weights.weights == {task: DRAWN[giver] for task, giver in givers.items()}
            found[number, seed] = tuple(weights.weights.values())
    counts = [list(found.values()).count(one) for one in set(found.values())]
    assert len(counts) == 5 and min(counts) >= 5  # every permutation but the one that moves nothing
    assert any(found[number, 1] != found[number, 2] for number in range(40))


def test_random_tasks_are_as_many_as_top_keeps(tmp_path):
    write_weights(tmp_path / "uniform.json", uniform(dict.fromkeys("abcdefg", 10)))
    draws = [derive([tmp_path / "uniform.json"], f"random60-{n}", seed=s) for n in range(30) for s in (1, 2)]
    assert {len(one.weights) for one in draws} == {4}
    assert all(weight == 1 / 4 for one in draws for weight in one.weights.values())
    often = [sum(task in one.weights for one in draws) for task in "abcdefg"]
    assert min(often) > 20 and max(often) < 48  # 34 each on average, standard deviation 4
    fewer = derive([tmp_path / "uniform.json"], "random30-7", seed=1)
    assert set(fewer.weights) < set(derive([tmp_path / "uniform.json"], "random60-7", seed=1).weights)


def test_weights_of_a_file_with_the_rows_there_are_here(tmp_path):
    write_weights(tmp_path / "theirs.json", Weights({"b": 0.75, "a": 0.25, "gone": 0.0}, {"a": 1, "b": 1, "gone": 1}))
    write_weights(tmp_path / "uniform.json", uniform({"a": 10, "b": 20, "c": 70}))
    weights = derive([tmp_path / "theirs.json", tmp_path / "uniform.json"], "file-theirs")
    assert weights == Weights({"b": 0.75, "a": 0.25}, {"b": 20, "a": 10})


def test_a_file_that_weighs_other_tasks_is_refused(tmp_path):
    write_weights(tmp_path / "theirs.json", uniform({"a": 1, "z": 1}))
    write_weights(tmp_path / "uniform.json", uniform({"a": 10, "b": 20}))
    with pytest.raises(UserError, match=r"theirs.json weighs 'z', which is none of the tasks here \(a, b\)"):
        derive([tmp_path / "theirs.json", tmp_path / "uniform.json"], "file-theirs")
    with pytest.raises(UserError, match="takes two weights JSONs"):
        derive([tmp_path / "uniform.json"], "file-theirs")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (15, {"a": 5, "b": 5, "c": 5}),  # 2 passes are far away
        (90, {"a": 20, "b": 35, "c": 35}),  # a is capped at 2 x 10, the others share what is left
        (150, {"a": 20, "b": 40, "c": 90}),
        (400, {"a": 20, "b": 40, "c": 140}),  # 2 passes over everything are 200 rows
    ],
)
def test_unimax_by_hand(rows, expected, tmp_path):
    weights = derive([trajectory(tmp_path / "trajectory.parquet")], "unimax2", rows).weights
    total = sum(expected.values())
    assert weights == pytest.approx({task: n / total for task, n in expected.items()})


SIZES = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 10**9), min_size=1, max_size=9)


@given(SIZES, st.integers(1, 10**9), st.floats(0.5, 20))
def test_unimax_is_as_uniform_as_its_cap_allows(sizes, rows, passes):
    weights = of_sizes(Mixture("unimax", passes), sizes, rows)
    assert list(weights) == list(sizes)
    assert sum(weights.values()) == pytest.approx(1)
    drawn = {task: weight * rows for task, weight in weights.items()}
    if rows <= passes * sum(sizes.values()):
        free = [drawn[task] for task in sizes if drawn[task] < passes * sizes[task] * (1 - 1e-9)]
        assert all(drawn[task] <= passes * sizes[task] * (1 + 1e-9) for task in sizes)
        assert free == pytest.approx([max(drawn.values())] * len(free))  # who is not capped has the most
    else:
        assert drawn == pytest.approx({task: rows * size / sum(sizes.values()) for task, size in sizes.items()})


@given(SIZES, st.floats(0.1, 1000))
def test_a_temperature_lies_between_proportional_and_uniform(sizes, temperature):
    weights = of_sizes(Mixture("temperature", temperature), sizes)
    assert sum(weights.values()) == pytest.approx(1)
    order = sorted(sizes, key=sizes.__getitem__)
    assert all(weights[a] <= weights[b] * (1 + 1e-12) for a, b in pairwise(order))
    hot = of_sizes(Mixture("temperature", 1e9), sizes)
    assert hot == pytest.approx(of_sizes(Mixture("uniform"), sizes), rel=1e-6)


@pytest.mark.parametrize(
    "name", ["top0", "top101", "bottom", "temperature0", "temperature", "unimax-1", "curr2", "Uniform", "uniform1", ""]
)
def test_names_that_are_no_mixture(name):
    with pytest.raises(UserError, match="unknown mixture"):
        parse(name)


def test_uniform_from_the_training_rows(tmp_path):
    for task, rows in (("b", 3), ("a", 2)):
        columns = {"query": range(rows), "positives": [[0]] * rows, "negatives": [[1]] * rows}
        write_table(tmp_path / task / "train.parquet", columns, TRAIN)
    weights = derive([tmp_path / t / "train.parquet" for t in ("b", "a")], "uniform")
    assert weights == Weights({"b": 0.5, "a": 0.5}, {"b": 3, "a": 2})
    assert weights.passes(10) == pytest.approx({"b": 5 / 3, "a": 5 / 2})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"domain_weights": {"a": 0.7, "b": 0.2}, "size": {"a": 1, "b": 1}}, "sum to 0.9"),
        ({"domain_weights": {"a": 1.5, "b": -0.5}, "size": {"a": 1, "b": 1}}, "weight of 'b' is -0.5"),
        ({"domain_weights": {"a": "1"}, "size": {"a": 1}}, "weight of 'a' is '1'"),
        ({"domain_weights": {"a": 10**400}, "size": {"a": 1}}, "weight of 'a' is 1000"),
        ({"domain_weights": {"a": 1.0}, "size": {"a": 10**400}}, "`size`"),
        ({"domain_weights": {"a": True}, "size": {"a": 1}}, "weight of 'a' is True"),
        ({"domain_weights": {"a": 1.0}}, "`size`"),
        ({"domain_weights": {"a": 1.0}, "size": {"a": 0}}, "`size`"),
        ({"weights": {"a": 1.0}}, "`domain_weights`"),
        ([], "`domain_weights`"),
    ],
)
def test_wrong_weights_are_refused_in_one_sentence(content, sentence, tmp_path):
    path = tmp_path / "weights.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=sentence) as error:
        read_weights(path)
    assert str(path) in str(error.value)


def test_weights_of_an_average_are_the_mean_of_those_that_it_is_made_of(tmp_path):
    write_weights(tmp_path / "one.json", Weights({"a": 0.5, "b": 0.5}, {"a": 10, "b": 20}))
    write_weights(tmp_path / "two.json", Weights({"b": 0.75, "c": 0.25}, {"b": 16, "c": 40}))
    for name in ("soup-x", "soup-x@0.5", "averaged-x"):
        weights = derive([tmp_path / "one.json", tmp_path / "two.json"], name)
        assert weights == Weights({"a": 0.25, "b": 0.625, "c": 0.125}, {"a": 10, "b": 20, "c": 40})


def test_a_bag_is_uniform_and_counts_the_rows_that_it_has(tmp_path):
    write_weights(tmp_path / "uniform.json", uniform({"a": 10, "b": 21, "c": 2}))
    weights = derive([tmp_path / "uniform.json"], "bag30-7")
    assert weights == Weights(dict.fromkeys("abc", 1 / 3), {"a": 3, "b": 7, "c": 2})


def test_what_a_source_cannot_give_is_said(tmp_path):
    write_weights(tmp_path / "w.json", uniform({"a": 1, "b": 1}))
    with pytest.raises(UserError, match="holds no learnt weights"):
        derive([tmp_path / "w.json"], "ema")
    with pytest.raises(UserError, match="unknown mixture 'best'"):
        derive([tmp_path / "w.json"], "best")
    with pytest.raises(UserError, match="keeps none of 2 tasks"):
        derive([tmp_path / "w.json"], "top10")
    with pytest.raises(UserError, match="give --rows"):
        derive([tmp_path / "w.json"], "unimax4")
    with pytest.raises(UserError, match="give --seed"):
        derive([tmp_path / "w.json"], "shuffled-1")
    with pytest.raises(UserError, match="random10-1 keeps none of 2 tasks"):
        derive([tmp_path / "w.json"], "random10-1", seed=1)
    with pytest.raises(UserError, match="cannot be read"):
        derive([tmp_path / "missing.json"], "top50")


def test_shares_of_experts_of_all_but_one_task_and_of_what_prune_keeps(tmp_path):
    sizes = {"a": 10, "b-1": 20, "c.d": 30, "e": 5}
    write_weights(tmp_path / "uniform.json", uniform(sizes))
    source = [tmp_path / "uniform.json"]
    found = derive(source, "expert-b-1", experts=Experts(rho=0.6)).weights
    assert found == pytest.approx({"a": 0.1, "b-1": 0.7, "c.d": 0.1, "e": 0.1})
    assert derive(source, "without-c.d") == Weights(
        dict.fromkeys(("a", "b-1", "e"), 1 / 3), {"a": 10, "b-1": 20, "e": 5}
    )
    with pytest.raises(UserError, match=r"mixture without-x names none of the tasks \(a, b-1, c\.d, e\)"):
        derive(source, "without-x")
    write_json(tmp_path / "prune.json", {"kept": ["e", "a"]})
    assert derive([tmp_path / "prune.json", *source], "prune").weights == {"e": 0.5, "a": 0.5}
    with pytest.raises(UserError, match=r"prune takes prune\.json of the experts, and a weights JSON"):
        derive(source, "prune")
    with pytest.raises(UserError, match=r"mergemix takes law\.json"):
        derive([tmp_path / "dev.parquet"], "mergemix")
