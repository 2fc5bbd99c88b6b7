import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ours import write_sealed

from tdro.artifacts import files, seals
from tdro.artifacts.digests import content_digest
from tdro.artifacts.files import (
    read_batches,
    read_counts,
    read_json,
    read_rows,
    read_table,
    read_texts,
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
    write_sealed(tmp_path / "few.parquet", {"query": [1]})
    with pytest.raises(UserError, match=r"few.parquet has no column 'positives'"):
        read_table(tmp_path / "few.parquet", TRAIN)
    write_sealed(tmp_path / "types.parquet", {**ROWS, "text": [1.5, 2.5], "title": [[1], [2]]})
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


def damaged(path, byte):
    """Turn one bit of a file."""
    content = bytearray(path.read_bytes())
    content[byte] ^= 1
    path.write_bytes(content)


READS: dict = {
    "read_table": lambda path: read_table(path, CORPUS),
    "read_batches": lambda path: list(read_batches(path, CORPUS, 100)),
    "read_rows": lambda path: read_rows(path, CORPUS, [3]),
    "read_texts": lambda path: list(read_texts(path, "text")),
    "content_digest": content_digest,
}


@pytest.mark.parametrize("write", ["at once", "in pieces"])
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_bit_that_the_disk_has_turned_is_found(tmp_path, write, read):
    path = tmp_path / "corpus.parquet"
    rows = {name: [f"{name} {row}" for row in range(500)] for name in CORPUS.names}
    if write == "at once":
        write_table(path, rows, CORPUS)
    else:
        with table_writer(path, CORPUS) as writer:
            writer.append(rows)
    read(path)
    texts = pq.read_metadata(path).row_group(0).column(2)
    damaged(path, (texts.dictionary_page_offset or texts.data_page_offset) + texts.total_compressed_size - 20)
    with pytest.raises(UserError, match=r"corpus.parquet is damaged: .* Delete the file"):
        read(path)


@pytest.mark.parametrize(("other", "said"), [(-1, "by an older tDRO (9.1.0)"), (1, "is newer than this")])
def test_a_file_of_another_format_is_refused_with_the_rule_that_makes_it(tmp_path, monkeypatch, other, said):
    for module in (files, seals):
        monkeypatch.setattr(module, "FORMAT", seals.FORMAT + other)
        monkeypatch.setattr(module, "__version__", "9.1.0")
    task = tmp_path / "results/data/faq"
    write_table(task / "corpus.parquet", ROWS, CORPUS)
    with table_writer(task / "queries.parquet", CORPUS) as writer:
        writer.append(ROWS)
    write_json(tmp_path / "results/dev/recommendation.json", {"a": 1})
    monkeypatch.undo()
    for name, rule in (("corpus", "prepare_task"), ("queries", "prepare_task")):
        with pytest.raises(UserError, match=re.escape(said)) as caught:
            read_table(task / f"{name}.parquet", CORPUS)
        assert f"(rule `{rule}`)" in str(caught.value)
    with pytest.raises(UserError, match=rf"{re.escape(said)}.*rule `recommend`"):
        read_json(tmp_path / "results/dev/recommendation.json")


def test_a_file_of_another_program_is_refused_where_it_should_be_ours(tmp_path):
    pq.write_table(pa.table(ROWS), tmp_path / "negatives.parquet")
    for read in READS.values():
        if read is not READS["read_texts"]:
            with pytest.raises(UserError, match=r"negatives.parquet has no checksum: another program"):
                read(tmp_path / "negatives.parquet")
    assert list(read_texts(tmp_path / "negatives.parquet", "text")) == ROWS["text"]


def half_utf8():
    """A column of texts whose first one is no UTF-8, which only a file can hold."""
    offsets, letters = pa.py_buffer(bytes(4) + b"\x01\0\0\0\x02\0\0\0"), pa.py_buffer(b"\xffa")
    return pa.Array.from_buffers(pa.string(), 2, [None, offsets, letters])


#: Tables of a corpus or of training rows that no rule writes, and what is said of them.
WRONG = {
    "an empty cell": (CORPUS, {**ROWS, "text": [None, "two"]}, "an empty cell in its column 'text'"),
    "an empty place in a list": (TRAIN, {"query": [0], "positives": [[None]], "negatives": [[]]}, "column 'positives'"),
    "another type": (CORPUS, {**ROWS, "text": [[1], [2]]}, "a column of another type than expected"),
    "text that is no UTF-8": (CORPUS, {**ROWS, "text": half_utf8()}, "a column of another type than expected"),
    "a number too large": (TRAIN, {"query": [1 << 40], "positives": [[0]], "negatives": [[]]}, "another type"),
}


@pytest.mark.parametrize(("schema", "columns", "said"), WRONG.values(), ids=WRONG)
def test_what_no_rule_writes_is_refused_where_it_is_read(schema, columns, said, tmp_path):
    path = tmp_path / "a.parquet"
    write_sealed(path, columns)
    for read in (
        lambda: read_table(path, schema),
        lambda: list(read_batches(path, schema, 1)),
        lambda: read_rows(path, schema, [0]),
    ):
        with pytest.raises(UserError, match=said) as caught:
            read()
        assert str(caught.value).endswith("Delete the file and let the workflow make it again.")


def test_a_column_that_is_there_twice_and_a_format_that_is_no_number_are_refused(tmp_path):
    table = pa.table(ROWS)
    write_sealed(tmp_path / "twice.parquet", table.append_column("text", table["text"]))
    write_sealed(tmp_path / "format.parquet", table.replace_schema_metadata({b"tdro.format": b"x"}))
    for name, said in (("twice", "has two columns 'text'"), ("format", "is newer than this one")):
        with pytest.raises(UserError, match=said):
            read_table(tmp_path / f"{name}.parquet", CORPUS)
    with pytest.raises(UserError, match="needs a column 'text' of texts"):
        next(read_texts(tmp_path / "twice.parquet", "text"))


@pytest.mark.parametrize(
    ("text", "said"), [("[" * 5000, "nested too deeply"), ('{"a": "\\udc00"}', "half of a character")]
)
def test_json_that_no_file_can_hold_is_refused(text, said, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=rf"a\.json is not JSON.*{said}"):
        read_json(tmp_path / "a.json")
