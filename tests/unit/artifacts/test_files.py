import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tdro.artifacts.files import (
    read_counts,
    read_json,
    read_rows,
    read_table,
    replacing,
    table_writer,
    write_json,
    write_table,
)
from tdro.artifacts.schemas import CORPUS, TRAIN
from tdro.errors import UserError

ROWS = {"passage_id": ["a", "b"], "title": ["", "t"], "text": ["one", "two"]}


def test_a_table_and_its_counts_come_back(tmp_path):
    path = tmp_path / "new" / "corpus.parquet"
    write_table(path, ROWS, CORPUS, {"rows read": 3, "too short": 1})
    assert read_table(path, CORPUS).to_pydict() == ROWS
    assert read_counts(path) == {"rows read": 3, "too short": 1}
    assert [p.name for p in path.parent.iterdir()] == ["corpus.parquet"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(RuntimeError, match="half way"), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("half way")
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["value.json"]


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"gone.parquet does not exist"):
        read_table(tmp_path / "gone.parquet", CORPUS)
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(UserError, match=r"text.parquet is not a readable Parquet file"):
        read_table(tmp_path / "text.parquet", CORPUS)
    pq.write_table(pa.table({"query": [1]}), tmp_path / "few.parquet")
    with pytest.raises(UserError, match=r"few.parquet has no column 'positives'"):
        read_table(tmp_path / "few.parquet", TRAIN)
    pq.write_table(pa.table({**ROWS, "text": [1.5, 2.5], "title": [[1], [2]]}), tmp_path / "types.parquet")
    with pytest.raises(UserError, match=r"types.parquet.*column"):
        read_table(tmp_path / "types.parquet", CORPUS)
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UserError, match=r"bad.json is not JSON"):
        read_json(tmp_path / "bad.json")


@pytest.mark.parametrize("rows", [[], [0], [99], [70_000, 3, 65_535, 65_536, 3]])
def test_some_rows_of_a_file_of_several_groups_come_back(tmp_path, rows):
    schema = pa.schema([("number", pa.int64()), ("name", pa.string())])
    with table_writer(tmp_path / "t.parquet", schema) as writer:
        for start in range(0, 80_000, 10_000):
            numbers = range(start, start + 10_000)
            writer.append({"number": numbers, "name": [f"n{n}" for n in numbers]})
    found = read_rows(tmp_path / "t.parquet", schema, rows)
    assert found == {row: {"number": row, "name": f"n{row}"} for row in rows}
    with pytest.raises(UserError, match=r"t.parquet has no row 80000"):
        read_rows(tmp_path / "t.parquet", schema, [1, 80_000])


def test_a_table_written_in_pieces_is_one(tmp_path):
    path = tmp_path / "corpus.parquet"
    expected = [{"passage_id": str(i), "title": "", "text": "text " * 1000} for i in range(20_000)]
    with table_writer(path, CORPUS, {"rows read": 7}) as file:
        for start in range(0, len(expected), 4000):
            file.append(pa.Table.from_pylist(expected[start : start + 4000]).to_pydict())
    assert read_table(path, CORPUS).to_pylist() == expected
    assert read_counts(path) == {"rows read": 7}
    with pytest.raises(RuntimeError, match="half way"), table_writer(path, CORPUS) as file:
        file.append({"passage_id": ["x"], "title": [""], "text": [""]})
        raise RuntimeError("half way")
    assert read_table(path, CORPUS).num_rows == len(expected)
    assert [file.name for file in tmp_path.iterdir()] == ["corpus.parquet"]
