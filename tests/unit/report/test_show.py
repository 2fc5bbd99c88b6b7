import json

import pytest

from tdro.errors import UserError
from tdro.mixtures.weights import Weights, write_weights
from tdro.report.show import show

SIZES = {"news": 1000, "code": 4000, "medical": 500}


@pytest.fixture
def learnt(tmp_path):
    write_weights(tmp_path / "curr.json", Weights({"news": 0.2, "code": 0.1, "medical": 0.7}, SIZES))
    return tmp_path / "curr.json"


@pytest.fixture
def heaviest(tmp_path):
    write_weights(tmp_path / "top70.json", Weights({"medical": 0.5, "news": 0.5}, {"medical": 500, "news": 1000}))
    return tmp_path / "top70.json"


def lines(text: str) -> dict[str, list[str]]:
    """Cells of each task's line, in the order of the table."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in rows[1:]}


def test_heaviest_task_first_with_bars_and_the_passes_of_the_file(learnt):
    shown = lines(show([learnt]))
    assert list(shown) == ["medical", "news", "code"]
    epoch = json.loads(learnt.read_text())["epoch"]
    assert [float(cells[-1]) for cells in shown.values()] == pytest.approx([epoch[task] for task in shown], abs=0.05)
    bars = [len(cells[2]) for cells in shown.values()]
    assert bars == [30, round(30 * 2 / 7), round(30 / 7)]
    assert shown["medical"][:2] == ["500", "0.7000"]


def test_rows_give_real_passes(learnt):
    shown = lines(show([learnt], 2000))
    assert [cells[-1] for cells in shown.values()] == ["2.8", "0.40", "0.05"]
    assert "2,000 rows" in show([learnt], 2000)


def test_second_file_is_compared_and_a_missing_task_weighs_nothing(learnt, heaviest):
    shown = lines(show([learnt, heaviest], 1000))
    assert shown["medical"][-3:] == ["0.5000", "-0.2000", "1.0"]
    assert shown["news"][-3:] == ["0.5000", "+0.3000", "0.50"]
    assert shown["code"][-3:] == ["0.0000", "-0.1000", "0"]


def test_task_of_the_second_file_only_is_shown(learnt, heaviest):
    shown = lines(show([heaviest, learnt], 1000))
    assert shown["code"][:2] == ["4,000", "0.0000"]
    assert shown["code"][-3:] == ["0.1000", "+0.1000", "0.03"]


def test_output_is_plain_and_narrow(tmp_path):
    tasks = {"a-very-long-name-" * 5: 0.5, "[bold]:smile:": 0.5}
    write_weights(tmp_path / "w.json", Weights(tasks, dict.fromkeys(tasks, 10)))
    text = show([tmp_path / "w.json", tmp_path / "w.json"])
    table = [line for line in text.splitlines() if line[0] in "|+"]
    assert text.isascii() and max(map(len, table)) <= 120
    assert "[bold]:smile:" in text


def test_wrong_files_are_named(tmp_path, learnt):
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"domain_weights": {"news": 0.4}, "size": {"news": 3}}))
    with pytest.raises(UserError, match=r"wrong\.json: the weights sum to 0\.4"):
        show([learnt, wrong])
    with pytest.raises(UserError, match=r"missing\.json"):
        show([tmp_path / "missing.json"])


@pytest.mark.parametrize("number", [0, 3])
def test_one_or_two_files(learnt, number):
    with pytest.raises(UserError, match="one or two"):
        show([learnt] * number)


def test_rows_are_at_least_one(learnt):
    with pytest.raises(UserError, match="--rows is 0"):
        show([learnt], 0)
