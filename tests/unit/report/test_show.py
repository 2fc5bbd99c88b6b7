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


def test_a_second_file_is_compared_and_a_task_that_one_file_lacks_weighs_nothing_there(learnt, heaviest):
    shown = lines(show([learnt, heaviest], 1000))
    assert {task: cells[-3:] for task, cells in shown.items()} == {
        "medical": ["0.5000", "-0.2000", "1.0"],
        "news": ["0.5000", "+0.3000", "0.50"],
        "code": ["0.0000", "-0.1000", "0"],
    }
    other_way = lines(show([heaviest, learnt], 1000))["code"]
    assert [*other_way[:2], *other_way[-3:]] == ["4,000", "0.0000", "0.1000", "+0.1000", "0.03"]


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


@pytest.mark.parametrize(
    ("number", "rows", "message"), [(0, None, "one or two"), (3, None, "one or two"), (1, 0, "--rows is 0")]
)
def test_one_or_two_files_and_a_row_at_least(learnt, number, rows, message):
    with pytest.raises(UserError, match=message):
        show([learnt] * number, rows)
