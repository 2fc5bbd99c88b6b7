import hashlib
import os

import pytest

from tdro.artifacts.digests import content_digest, known_digest, write_digests
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


def test_a_file_is_known_by_what_stands_beside_it_unless_that_is_older(tmp_path):
    told, path = digest(tmp_path, ROWS).strip(), tmp_path / "train.parquet"
    assert known_digest(path) == told == content_digest(path)
    os.utime(path, ns=(0, (tmp_path / "train.digest").stat().st_mtime_ns + 1))
    assert known_digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "train.digest").unlink()
    assert known_digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()
