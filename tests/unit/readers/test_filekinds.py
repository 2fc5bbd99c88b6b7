"""Files that are something else than their name says: every reader names what they are and what to do."""

import bz2
import gzip
import io
import json
import lzma
import pickle
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import items, tarred, written, zipped

from tdro.config.registry import Source
from tdro.errors import UserError
from tdro.readers.base import Row
from tdro.readers.queryfiles import read_queries
from tdro.readers.testsets.base import open_testset

ROWS = [{"query": f"question {i}", "positive": f"answer {i}", "_id": f"d{i}", "text": f"text {i}"} for i in range(3)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def parquet():
    packed = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), packed)
    return packed.getvalue()


# What a file holds, and words of the message.
KINDS = {
    "gzip": (gzip.compress(LINES), "gzip; let its name end in `.gz`"),
    "zst": (b"\x28\xb5\x2f\xfd\x04\x00" + bytes(range(99)), "Zstandard"),
    "bz2": (bz2.compress(LINES), "bzip2"),
    "xz": (lzma.compress(LINES), "xz"),
    "zip": (zipped({"rows.jsonl": LINES}), "zip archive"),
    "tar": (tarred({"rows.jsonl": LINES}, mode="w"), "tar archive"),
    "parquet": (parquet(), "Parquet; let its name end in `.parquet`"),
    "pickle": (pickle.dumps(ROWS), "pickle"),
    "UTF-16": (LINES.decode().encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": (LINES.decode().encode("utf-16-le"), "UTF-16"),
    "UTF-16, big end first": (b"\xfe\xff" + LINES.decode().encode("utf-16-be"), "UTF-16"),
    "UTF-32": (LINES.decode().encode("utf-32"), "UTF-32"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
    "annex pointer": (b"/annex/objects/MD5E-s9--0.jsonl\n", "git annex get"),
    "web page": (b"<!DOCTYPE html>\n<html><body>404</body></html>\n", "web page"),
    "error of a server": (
        b'<?xml version="1.0"?>\n<Error>AccessDenied</Error>\n',
        "error message of a server",
    ),
    "zeros": (bytes(9999), "zero bytes"),
    "old Mac": (LINES.replace(b"\n", b"\r"), "CR alone"),
}
# What only a file of JSON lines cannot be.
NO_LINES = {
    "array": (json.dumps(ROWS).encode(), "one JSON array"),
    "array, a row a line": (b"[" + b",\n".join(LINES.split()) + b"]", "one JSON array"),
    "indented array": (json.dumps(ROWS, indent=2).encode(), "one JSON array"),
    "large array": (json.dumps(ROWS * 5000).encode(), "one JSON array"),
    "indented objects": ("\n".join(json.dumps(row, indent=2) for row in ROWS).encode(), "JSON over several lines"),
    "CSV": (b"query,positive\nquestion,answer\nanother,one\n", "`reader: table`"),
    "with a mark": (b"\xef\xbb\xbf" + json.dumps(ROWS, indent=2).encode(), "one JSON array"),
}


def beir(path):
    """A folder in BEIR's layout whose corpus is this file."""
    folder = path.parent / "beir"
    written(folder / f"corpus{''.join(path.suffixes)}", path.read_bytes())
    written(folder / "queries.jsonl", '{"_id": "q", "text": "question"}\n')
    written(folder / "qrels/train.tsv", "q\td1\t1\n")
    return str(folder)


READERS = {
    "jsonl": partial(items, "jsonl"),
    "released": partial(items, "released"),
    "table": partial(items, "table"),
    "beir": lambda path: items("beir", beir(path)),
    "benchmark": lambda path: open_testset(Source(reader="beir", path=beir(path))).documents(),
    "queries": read_queries,
}


@pytest.mark.parametrize("reader", READERS)
def test_the_file_itself_is_read(tmp_path, reader):
    assert len(list(READERS[reader](written(tmp_path / "rows.jsonl", LINES)))) >= 3


@pytest.mark.parametrize("kind", KINDS | NO_LINES)
@pytest.mark.parametrize("reader", READERS)
def test_files_of_another_kind_are_named_by_every_reader(tmp_path, reader, kind):
    content, said = (KINDS | NO_LINES)[kind]
    with pytest.raises(UserError) as error:
        list(READERS[reader](written(tmp_path / "rows.jsonl", content)))
    assert said in str(error.value) and ".jsonl" in str(error.value)
    assert str(error.value).count("\n") == 0


@pytest.mark.parametrize("kind", ["zst", "UTF-16", "LFS pointer", "web page", "zip", "parquet"])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.jsonl.gz", "t.parquet", "q.txt", "q.tsv", "q.parquet"])
def test_whatever_the_name_says(tmp_path, name, kind):
    content, said = KINDS[kind]
    if kind == "parquet" and name.endswith(".parquet"):
        return
    with pytest.raises(UserError, match=said.partition(";")[0]):
        list((read_queries if name.startswith("q.") else READERS["table"])(written(tmp_path / name, content)))


def test_what_is_packed_is_looked_at_too(tmp_path):
    with pytest.raises(UserError, match="UTF-16"):
        READERS["jsonl"](written(tmp_path / "rows.jsonl.gz", gzip.compress(KINDS["UTF-16"][0])))
    with pytest.raises(UserError, match=r"rows\.tar\.gz:rows\.jsonl, line 1: it is one JSON array"):
        READERS["released"](written(tmp_path / "rows.tar.gz", tarred({"rows.jsonl": NO_LINES["array"][0]})))


def test_text_in_the_place_of_gzip_is_named(tmp_path):
    with pytest.raises(UserError, match=r"its name ends in `gz`, but it is text"):
        READERS["jsonl"](written(tmp_path / "rows.jsonl.gz", LINES))


@pytest.mark.parametrize(
    "content",
    [
        b'["query", "positive"]\n["[a]", "b"]\n',
        b'["query", "positive"]',
        b'\xef\xbb\xbf{"query": "q", "positive": "p"}\n',
        b'\n\n  {"query": "q", "positive": "p"}\n',
        b'{"query": "BZh PK ORC", "positive": "<html>"}\r\n',
        b'{"query": "q", "positive": "' + b"p" * 100_000 + b'"}\n',
        b'["' + b"q" * 100_000 + b'", "p"]\n',
    ],
)
def test_json_lines_of_all_forms_stay_readable(tmp_path, content):
    assert all(isinstance(row, Row) for row in READERS["jsonl"](written(tmp_path / "rows.jsonl", content)))


@pytest.mark.parametrize("line", ["version 2 of python", "BZh is no word", "ORCA", "[a] list", "{x", "PK, what?", "7z"])
def test_queries_of_any_words_stay_queries(tmp_path, line):
    assert list(read_queries(written(tmp_path / "q.txt", f"{line}\n".encode()))) == [line]
