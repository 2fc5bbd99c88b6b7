"""Tables of every kind: what their rows become, and what is said of those that are none."""

import pytest
from reading import bad, table, written, written_records

from tdro.errors import UserError
from tdro.readers.base import Passage, Row

NAMES = ("id", "q", "p", "t", "n")
RECORDS = [(1, "first", "passage, with a comma", "T", "n"), (2, "second", "zweite Passage: \u00e4", "", "m")]


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz", "t.tsv", "t.tsv.gz", "t.jsonl", "t.jsonl.gz"])
def test_tables_of_every_kind_mean_the_same(tmp_path, name):
    path = written_records(tmp_path / name, NAMES, RECORDS)
    assert table(path, title="t", negatives="n", query_id="id") == [
        Row("first", [Passage("passage, with a comma", "T")], [Passage("n")], "1"),
        Row("second", [Passage("zweite Passage: \u00e4")], [Passage("m")], "2"),
    ]
    if "jsonl" not in name:
        with pytest.raises(UserError, match=r"has no column 'missing'; it has id, q, p, t, n"):
            table(path, positive="missing")


def test_files_of_one_kind_are_read(tmp_path):
    for name in ("a.parquet", "b.csv"):
        written_records(tmp_path / name, NAMES, RECORDS)
    with pytest.raises(UserError, match=r"holds \.csv and \.parquet files; `path` must name files of one kind"):
        table(tmp_path)
    with pytest.raises(UserError, match=r"t\.txt is no file of these kinds"):
        table(written(tmp_path / "t.txt", "q,p\n"))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.csv", b"q,p\na,b,c\nd,e\n", [("t.csv, line 2", "has 3 cells, expected the 2 of the header")]),
        ("t.csv", b"q,p\na,b\nd\n", [("t.csv, line 3", "has 1 cells, expected the 2 of the header")]),
        ("t.csv", b"q,p,r\na,\xe9,b\na,b,\xe9\n", [("t.csv, line 2", "is not UTF-8 in column 'p'")]),
        ("t.tsv", b'q\tp\n"a\tb\na\tb\tc\n', [("t.tsv, line 3", "has 3 cells, expected the 2 of the header")]),
        ("t.jsonl", b'{"q": "a", "p": "b"}\n[1]\n{"q": "a"}\n{"q": }\n', [
            ("t.jsonl, line 2", "is no JSON object"),
            ("t.jsonl, line 3", "has no key 'p'; it has q"),
            ("t.jsonl, line 4", "is not JSON (Expecting value: line 1 column 7 (char 6))"),
        ]),
        ("t.jsonl", b'{"q": "a", "p": "b"}\n{"q": ["a", "b"], "p": {"x": 1}}\n{"q": "a", "p": 3}\n', [
            ("t.jsonl, line 2", "has 2 queries in column 'q', expected one string"),
            ("t.jsonl, line 3", "has int in column 'p', expected a string or a list of strings"),
        ]),
    ],
)  # fmt: skip
def test_reading_goes_on_after_a_malformed_row(tmp_path, name, content, expected):
    found = table(written(tmp_path / name, content))
    assert bad(found) == expected
    assert any(isinstance(item, Row) for item in found)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", "", "holds no rows"),
        ("t.csv", "q,p\n", "holds no rows"),
        ("t.csv", '"q"x,p\n', "cannot be read"),
        ("t.csv", "q,p,p\na,b,c\n", "has 2 columns 'p'"),
        ("t.tsv", "q,p\n" * 3, "separated by commas"),
        ("t.csv", "q;p\n" * 3, "separated by `;`"),
        ("t.csv", "q\tp\n" * 3, "separated by tabs"),
        ("t.csv", '{"q": "a"}\n' * 3, "is JSON"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, name, content, said):
    with pytest.raises(UserError, match=rf"t\.\w+ .*{said}"):
        table(written(tmp_path / name, content))
