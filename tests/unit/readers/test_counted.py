import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tdro.config.registry import Columns, Source
from tdro.readers.counted import about

LINE = '{"query": "a question", "positive": "an answer"}\n'
COLUMNS = Columns(query="q", positive="p")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Files of every kind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.jsonl").write_text(LINE * 7)
    (tmp_path / "long.jsonl").write_text(LINE * 60_000)  # more than is read
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(LINE.encode()))
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "text.parquet").write_text("no Parquet")
    pq.write_table(pa.table({"q": ["a"] * 5, "p": ["b"] * 5}), tmp_path / "t-1.parquet")
    pq.write_table(pa.table({"q": ["a"] * 4, "p": ["b"] * 4}), tmp_path / "t-2.parquet")


@pytest.mark.parametrize(
    ("source", "rows"),
    [
        (Source(reader="jsonl", path="short.jsonl"), 7),
        (Source(reader="jsonl", path="*.gz"), None),
        (Source(reader="table", path="t-*.parquet", columns=COLUMNS), 9),
        (Source(reader="table", path="text.parquet", columns=COLUMNS), None),
        (Source(reader="jsonl", path="empty.jsonl"), None),
        (Source(reader="jsonl", path="none.jsonl"), None),
        (Source(reader="jsonl", hub="org/data", path="short.jsonl"), None),
        (Source(reader="beir", path="."), None),
    ],
)
def test_rows_are_known_where_a_look_tells_them(source, rows):
    assert about(source) == rows


def test_long_files_are_estimated_by_their_first_lines():
    assert about(Source(reader="jsonl", path="long.jsonl")) == pytest.approx(60_000, rel=0.001)
