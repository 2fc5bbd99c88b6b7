"""Files that are packed, cut off or of lines beyond all measure, through every reader of lines."""

import gzip

import pytest
from reading import bad, items, table, written

from tdro.errors import UserError
from tdro.readers.base import Row
from tdro.readers.queryfiles import read_queries

READERS = ["jsonl", "released", "table"]


@pytest.mark.parametrize("reader", READERS)
def test_a_broken_gzip_is_one_sentence(tmp_path, reader):
    packed = gzip.compress(b"".join(b'{"query": "query %d", "positive": "passage"}\n' % i for i in range(9999)))
    middle = len(packed) // 2
    for broken in (packed[:-9], packed[:middle], packed[:middle] + b"\xff" * 99 + packed[middle + 99 :], b"text"):
        path = written(tmp_path / "rows.jsonl.gz", broken)
        with pytest.raises(UserError, match=r"rows\.jsonl\.gz cannot be read: .*; correct `path`"):
            items(reader, path)


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_ends_in_the_middle_of_a_row_is_cut_off(tmp_path, reader):
    for end in ('{"query": "r", "posit', '{"query": "r", "posit\0\0\0', "\0\0\0"):
        path = written(tmp_path / "rows.jsonl", '{"query": "q", "positive": "p"}\n' + end)
        with pytest.raises(UserError, match=r"rows\.jsonl, line 2 is not .*: the file ends in the middle of this row"):
            items(reader, path)


@pytest.mark.parametrize("reader", READERS)
def test_a_line_beyond_all_measure_is_malformed(tmp_path, monkeypatch, reader):
    monkeypatch.setattr("tdro.readers.files._LONGEST_LINE", 80)
    start = len('{"query": "q", "positive": ""}')
    # At 80 bytes without its end a line still counts.
    lengths = [1, 200, 80 - start, 81 - start, 1]
    path = written(tmp_path / "rows.jsonl", [{"query": str(n), "positive": "p" * k} for n, k in enumerate(lengths)])
    found = items(reader, path)
    assert [row.query for row in found if isinstance(row, Row)] == ["0", "2", "4"]
    assert [place for place, _ in bad(found)] == ["rows.jsonl, line 2", "rows.jsonl, line 4"]
    assert all("too long" in reason and "JSON" not in reason for _, reason in bad(found))


def test_a_long_line_of_queries_or_cells_is_said_to_be_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr("tdro.readers.files._LONGEST_LINE", 200)
    with pytest.raises(UserError, match="line 2 is too long"):
        list(read_queries(written(tmp_path / "q.txt", "q\n" + "p" * 300 + "\n")))
    found = table(written(tmp_path / "t.csv", "q,p\na,b\na," + "p" * 300 + "\nc,d\n"))
    assert "too long" in found[1].reason and [found[0].query, found[2].query] == ["a", "c"]
