import json

import pytest
from everyartifact import as_json

from tdro.errors import UserError
from tdro.mixtures.weights import Weights, write_weights
from tdro.report.show.output import plain
from tdro.report.show.show import show
from tdro.report.show.view import Asked

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
    """Cells of each task's line, in the order of the table; bars are cells, too."""
    found = [line.split() for line in text.splitlines()]
    return {cells[0]: cells[1:] for cells in found if cells and cells[0] in SIZES}


def test_heaviest_task_first_with_bars_and_the_passes_of_the_file(learnt):
    view = show([learnt], Asked())
    shown = lines(plain(view))
    assert list(shown) == ["medical", "news", "code"]
    epoch = json.loads(learnt.read_text())["epoch"]
    assert [float(cells[-1]) for cells in shown.values()] == pytest.approx([epoch[task] for task in shown], abs=0.05)
    bars = [cells[2] for cells in shown.values()]
    assert [bar.count("█") for bar in bars] == [30, int(30 * 2 / 7), int(30 / 7)]
    assert bars[1][-1] == "▋"  # 30 * 2 / 7 = 8 and 4.6 eighths
    assert shown["medical"][:2] == ["500", "0.7000"]
    content = as_json(view)
    assert content["kind"] == "weights"
    assert content["content"]["medical"] == {"weight": 0.7, "rows": 500, "passes": pytest.approx(7.7)}


def test_drawn_rows_give_real_passes(learnt):
    text = plain(show([learnt], Asked(drawn=2000)))
    assert [cells[-1] for cells in lines(text).values()] == ["2.8", "0.40", "0.05"]
    assert "2,000 rows" in text


def test_a_second_file_is_compared_and_a_task_that_one_file_lacks_weighs_nothing_there(learnt, heaviest):
    shown = lines(plain(show([learnt, heaviest], Asked(drawn=1000))))
    assert {task: [cells[-1], cells[-2], cells[1]] for task, cells in shown.items()} == {
        "medical": ["-0.2000", "1.0", "0.7000"],
        "news": ["+0.3000", "0.50", "0.2000"],
        "code": ["-0.1000", "0", "0.1000"],
    }
    text = plain(show([heaviest, learnt], Asked(drawn=1000)))
    assert "difference: curr minus top70" in text
    assert lines(text)["code"][:2] == ["4,000", "0.0000"]


def test_the_mixtures_of_a_folder_stand_side_by_side(tmp_path):
    names = [f"m{number}" for number in range(7)]
    for number, name in enumerate(names):
        share = (number + 1) / 10
        tasks = {"news": share, "code": 1 - share} if number else {"code": 1.0}
        write_weights(tmp_path / f"weights/{name}.json", Weights(tasks, SIZES))
    (tmp_path / "weights/.uniform.json.9.tmp").write_text("half")
    view = show([tmp_path / "weights"], Asked())
    text = plain(view)
    heads = [line.split()[1:] for line in text.splitlines() if line.startswith("task")]
    assert heads == [names[:5], names[5:]]
    rows = [line.split() for line in text.splitlines() if line.startswith("news")]
    weights = [cell for row in rows for cell in row[1:] if cell[0] in "0·"]
    assert weights == ["·", "0.200", "0.300", "0.400", "0.500", "0.600", "0.700"]
    assert list(as_json(view)["content"]) == names
    assert "×" not in text and "×0.70" in plain(show([tmp_path / "weights"], Asked(drawn=1000)))


def test_files_of_one_name_are_told_by_their_folders(tmp_path):
    for seed in ("seed1", "seed2", "seed3"):
        write_weights(tmp_path / seed / "curr.json", Weights({"news": 1.0}, SIZES))
    text = plain(show([tmp_path / seed / "curr.json" for seed in ("seed1", "seed2", "seed3")], Asked()))
    assert "seed1/curr" in text and "seed3/curr" in text


def test_names_are_not_read_as_markup_and_long_ones_fit(tmp_path):
    tasks = {"a-very-long-name-" * 5: 0.5, "[bold]:smile:": 0.5}
    write_weights(tmp_path / "w.json", Weights(tasks, dict.fromkeys(tasks, 10)))
    text = plain(show([tmp_path / "w.json", tmp_path / "w.json"], Asked()))
    assert max(map(len, text.splitlines())) <= 120
    assert "[bold]:smile:" in text


def test_wrong_files_are_named(tmp_path, learnt):
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"domain_weights": {"news": 0.4}, "size": {"news": 3}}))
    with pytest.raises(UserError, match=r"wrong\.json: the weights sum to 0\.4"):
        show([learnt, wrong], Asked())
