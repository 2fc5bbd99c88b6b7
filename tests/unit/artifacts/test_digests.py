import pytest

from tdro.artifacts.digests import write_digests
from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import TRAIN

ROWS = {"query": [0, 1], "positives": [[3], [4, 5]], "negatives": [[6], []]}


def digest(folder, rows, counts=None):
    write_table(folder / "train.parquet", rows, TRAIN, counts)
    write_digests([folder / "train.parquet"])
    return (folder / "train.digest").read_text()


def test_a_digest_is_of_rows_not_of_what_a_stage_counted(tmp_path):
    assert digest(tmp_path, ROWS, {"rows read": 2}) == digest(tmp_path, ROWS, {"rows read": 90})


@pytest.mark.parametrize(
    "other",
    [
        {"query": [1, 0], "positives": [[4, 5], [3]], "negatives": [[], [6]]},
        {"query": [0, 1], "positives": [[3, 4], [5]], "negatives": [[6], []]},
        {"query": [0, 1], "positives": [[3], [4, 5]], "negatives": [[6], None]},
        {"query": [], "positives": [], "negatives": []},
    ],
)
def test_another_order_another_list_and_no_row_have_another_digest(tmp_path, other):
    assert digest(tmp_path, ROWS) != digest(tmp_path, other)
