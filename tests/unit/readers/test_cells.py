"""Cells that hold more than a text: lists, objects, bytes, numbers and null."""

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import bad, table, written

from tdro.errors import UserError
from tdro.readers.base import Passage, Row


def read(tmp_path, records, name="t.parquet", **columns):
    if name.endswith(".jsonl"):
        return table(written(tmp_path / name, records), **columns)
    pq.write_table(pa.Table.from_pylist(records), tmp_path / name)
    return table(tmp_path / name, **columns)


def test_lists_of_strings_and_titles(tmp_path):
    records = [
        {"q": "a", "p": ["x", "y"], "t": ["X", "Y"], "n": ["m", None]},
        {"q": "b", "p": [], "t": ["X"], "n": None},
        {"q": "c", "p": ["x", "y", "z"], "t": ["X", "Y"], "n": []},
    ]
    found = read(tmp_path, records, title="t", negatives="n")
    assert found[:2] == [
        Row("a", [Passage("x", "X"), Passage("y", "Y")], [Passage("m"), Passage("")]),
        Row("b", [], [Passage("")]),
    ]
    assert bad(found) == [("t.parquet, row 3", "has 2 titles in column 't' for 3 positives")]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.binary())])
def test_texts_that_spark_wrote_as_bytes_are_texts(tmp_path, kind):
    texts = pa.array(["erste", "zweite \u00e4"]).cast(pa.binary()).cast(kind)
    pq.write_table(pa.table({"q": texts, "p": texts, "i": texts}), tmp_path / "t.parquet")
    assert table(tmp_path / "t.parquet", title="p", query_id="i") == [
        Row(text, [Passage(text, text)], [], text) for text in ("erste", "zweite \u00e4")
    ]
    found = read(tmp_path, [{"q": "a", "p": b"fine"}, {"q": "b", "p": b"caf\xe9"}])
    assert bad(found) == [("t.parquet, row 2", "is not UTF-8 in column 'p'")]


@pytest.mark.parametrize("name", ["t.parquet", "t.jsonl"])
def test_lists_of_objects_are_passages(tmp_path, name):
    records = [
        {"q": "a", "p": [{"docid": "1", "title": "T", "text": "x"}], "n": [{"docid": "2", "title": None, "text": "y"}]},
        {"q": "b", "p": [{"docid": None, "title": "U", "text": "z"}], "n": []},
    ]
    assert read(tmp_path, records, name, negatives="n") == [
        Row("a", [Passage("x", "T", "1")], [Passage("y", "", "2")]),
        Row("b", [Passage("z", "U")], []),
    ]


def test_objects_without_a_text_name_the_way_out(tmp_path):
    records = [{"q": "a", "p": {"text": ["x"], "answer_start": [3]}}, {"q": "a", "p": {"body": "x"}}]
    reasons = [reason for _, reason in bad(read(tmp_path, records, "t.jsonl"))]
    assert "without a string `text` (it has text, answer_start); make a column of strings" in reasons[0]
    assert "it has body" in reasons[1]


def test_titles_that_are_numbers_are_texts(tmp_path):
    found = read(tmp_path, [{"q": "a", "p": "x", "t": 1984}, {"q": "b", "p": "y", "t": None}], title="t")
    assert [row.positives[0].title for row in found] == ["1984", ""]


def test_templates_stand_wherever_a_column_may(tmp_path):
    records = [
        {"t": "Title", "b": "Body", "p": ["x", "y"], "h": "Head", "n": "neg", "i": 7},
        {"t": "", "b": None, "p": [], "h": "Head", "n": None, "i": 8},
    ]
    for name in ("t.parquet", "t.jsonl"):
        found = read(
            tmp_path, records, name,
            query="{t}: {b}", positive="{h} - {p}", negatives="{n} ({i})", title="{{{h}}}", query_id="{h}-{i}",
        )  # fmt: skip
        assert found == [
            Row(
                "Title: Body",
                [Passage("Head - x", "{Head}"), Passage("Head - y", "{Head}")],
                [Passage("neg (7)")],
                "Head-7",
            ),
            Row("", [], [Passage("(8)")], "Head-8"),
        ]


def test_lists_in_a_template_go_side_by_side(tmp_path):
    records = [{"q": "a", "p": ["x", "y"], "t": ["X", "Y"]}, {"q": "b", "p": ["x"], "t": ["X", "Y"]}]
    found = read(tmp_path, records, positive="{t}: {p}")
    assert found[0] == Row("a", [Passage("X: x"), Passage("Y: y")], [])
    assert bad(found) == [("t.parquet, row 2", "has lists of different lengths (t: 2, p: 1)")]


@pytest.mark.parametrize("name", ["t.parquet", "t.jsonl"])
def test_a_misspelt_column_of_a_template_is_told(tmp_path, name):
    records = [{"title": "a", "body": "x", "p": "y"}]
    meant = r"has no (column|key) 'titel' \(did you mean 'title'\?\); it has title, body, p"
    if name.endswith("parquet"):
        with pytest.raises(UserError, match=meant):
            read(tmp_path, records, name, query="{titel} {body}")
    else:
        ((_, reason),) = bad(read(tmp_path, records, name, query="{titel} {body}"))
        assert re.match(meant, reason)
