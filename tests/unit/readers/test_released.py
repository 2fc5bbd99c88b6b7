"""The paper's training sets: tar archives that are read as a stream, and the same lines without them."""

import gzip
import json
import tarfile

import pytest
from reading import bad, items, tarred, written

from tdro.errors import UserError
from tdro.readers.base import Passage, Row

VALUE = {
    "query_id": "1",
    "query": "q",
    "positive_passages": [{"docid": "a", "title": "T", "text": "p"}],
    "negative_passages": [{"docid": "b", "title": "", "text": "n"}],
}
LINE = json.dumps(VALUE).encode()
ROW = Row("q", [Passage("p", "T", "a")], [Passage("n", "", "b")], "1")


def test_archives_lines_and_folders_of_both(tmp_path):
    lines = [json.dumps(VALUE | {"query_id": i}) + "\n" for i in range(3)]
    written(tmp_path / "a.jsonl.tar.gz", tarred({"README": b"?", "a.jsonl": lines[0].encode()}))
    written(tmp_path / "b.jsonl", lines[1])
    written(tmp_path / "c.jsonl.gz", lines[2])
    (tmp_path / "README.md").write_text("not read")
    for number, name in enumerate(["a.jsonl.tar.gz", "b.jsonl", "c.jsonl.gz"]):
        assert items("released", tmp_path / name) == [ROW._replace(query_id=str(number))]
    assert [row.query_id for row in items("released", tmp_path)] == ["0", "1", "2"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no \.jsonl, .* file"):
        items("released", tmp_path / "empty")


def test_nothing_is_written_and_no_link_followed(tmp_path):
    (tmp_path / "secret.jsonl").write_text('["secret", "text"]')
    links = [("link.jsonl", tarfile.SYMTYPE, "../secret.jsonl"), ("hard.jsonl", tarfile.LNKTYPE, "../secret.jsonl")]
    packed = tarred({"../../evil.jsonl": LINE, "._task.jsonl": b"\0mac"}, links)
    path = written(tmp_path / "folder/task.tar.gz", packed)
    before = sorted(tmp_path.rglob("*"))
    assert items("released", path) == [ROW]
    assert sorted(tmp_path.rglob("*")) == before


def test_malformed_lines_are_placed_within_the_archive(tmp_path):
    found = items("released", written(tmp_path / "task.tar.gz", tarred({"task.jsonl": b"{}\n" + LINE})))
    assert found[1:] == [ROW]
    assert bad(found)[0][0] == "task.tar.gz:task.jsonl, line 1"


def test_a_broken_archive_is_one_sentence(tmp_path):
    packed = tarred({"task.jsonl": b"".join(b'["query %d", "passage %d"]\n' % (i, i * i) for i in range(20_000))})
    middle = len(packed) // 2
    damaged = packed[:middle] + bytes(99) + packed[middle + 99 :]
    for broken in (packed[:middle], packed[:-5], damaged, b"not an archive", gzip.compress(b"no tar" * 999)):
        with pytest.raises(UserError, match=r"task\.tar\.gz cannot be read: .*; correct `path`"):
            items("released", written(tmp_path / "task.tar.gz", broken))
    with pytest.raises(UserError, match=r"holds no \.jsonl file"):
        items("released", written(tmp_path / "task.tar.gz", tarred({"README": b"?"})))
