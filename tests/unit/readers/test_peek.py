"""First records of files of every kind, as they are."""

import pytest
from reading import written, written_records

from tdro.errors import UserError
from tdro.readers.peek import columns_of, first_records, is_empty


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.tsv.gz", "t.jsonl"])
def test_records_of_every_kind(tmp_path, name):
    path = written_records(tmp_path / name, ("q", "p"), [("a", "x"), ("b", ""), ("c", "z")])
    records = first_records(path, 2)
    assert [record["q"] for record in records] == ["a", "b"]
    assert columns_of(records) == ["q", "p"]
    assert [is_empty(record["p"]) for record in records] == [False, True]


def test_parts_and_lines_that_are_no_objects(tmp_path):
    written(tmp_path / "a.jsonl", '["q", "p"]\n{not json}\n{"b": 1, "a": 2}\n')
    written(tmp_path / "b.jsonl", '{"c": NaN}\n')
    records = first_records(tmp_path, 10)
    assert records[0] == ["q", "p"]
    assert columns_of(records) == ["b", "a", "c"]
    assert is_empty(records[-1]["c"])


def test_files_of_other_kinds_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"t\.txt is no file of these kinds: \.parquet, \.csv"):
        first_records(written(tmp_path / "t.txt", "a"), 1)
