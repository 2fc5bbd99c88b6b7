"""Folders of parts and patterns: which files are read, in which order, and what is said of the others."""

import fnmatch
import gzip
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import items, written, written_records

from tdro.config.registry import Source
from tdro.errors import UserError
from tdro.readers.base import Row
from tdro.readers.fetch import dataset_job
from tdro.readers.parts import local_files

KINDS = [".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".tsv", ".parquet"]


def part(path, *queries):
    """A file of these queries, in the form that its name says."""
    return written_records(path, ("query", "positive"), [(query, "p") for query in queries])


def read(reader, path):
    found = items(reader, path)
    assert all(isinstance(item, Row) for item in found)
    return [item.query for item in found]


READERS = [("table", kind) for kind in KINDS] + [(name, k) for name in ("jsonl", "released") for k in KINDS[:2]]


@pytest.mark.parametrize(("reader", "kind"), READERS)
def test_two_stars_stand_for_folders_of_any_depth(tmp_path, reader, kind):
    for place in ("z", "a/x", "b/c/y", ".hidden/h"):
        part(tmp_path / f"data/{place}{kind}", place)
    pattern = f"{tmp_path}/data/**/*{kind}"
    assert read(reader, pattern) == ["a/x", "b/c/y", "z"]
    assert local_files(pattern) == [f"{tmp_path}/data/{place}{kind}" for place in ("a/x", "b/c/y", "z")]
    assert read(reader, f"{tmp_path}/data/*/*{kind}") == ["a/x"]


def test_links_to_files_of_one_content_count_each(tmp_path):
    """As in the cache of the hub, which holds equal files once."""
    blob = written(tmp_path / "blobs/0", [{"query": "q", "positive": "p"}])
    (tmp_path / "snapshot").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"snapshot/{name}.jsonl").symlink_to(blob)
    for path in ("snapshot", "snapshot/*.jsonl", "**/*.jsonl"):
        assert read("jsonl", tmp_path / path) == ["q", "q"]


def test_two_stars_beside_other_letters_are_refused(tmp_path):
    part(tmp_path / "data/a/x.jsonl", "q")
    for pattern in ("data/**.jsonl", "da**/x.jsonl"):
        with pytest.raises(UserError, match=r"`\*\*` must stand alone between slashes"):
            read("jsonl", tmp_path / pattern)


def test_a_circle_of_links_repeats_no_row(tmp_path):
    part(tmp_path / "data/a/x.jsonl", "q")
    (tmp_path / "data/a/again").symlink_to(tmp_path / "data")
    assert read("jsonl", tmp_path / "data/**/*.jsonl") == ["q"]


@pytest.mark.parametrize(("reader", "kind"), READERS)
def test_an_empty_part_among_parts_is_told_and_passed_over(tmp_path, reader, kind, caplog):
    part(tmp_path / f"parts/part-0{kind}", "q")
    part(tmp_path / f"parts/part-1{kind}")
    part(tmp_path / f"parts/part-2{kind}", "r")
    assert read(reader, tmp_path / "parts") == ["q", "r"]
    assert "1 of 3 files hold no rows" in caplog.text and f"part-1{kind}" in caplog.text


@pytest.mark.parametrize(("reader", "kind"), READERS)
def test_only_empty_parts_are_an_error(tmp_path, reader, kind):
    for number in range(2):
        part(tmp_path / f"parts/part-{number}{kind}")
    with pytest.raises(UserError, match="parts holds no rows"):
        read(reader, tmp_path / "parts")


@pytest.mark.parametrize("name", ["empty.jsonl", "empty.csv", "empty.tsv", "empty.csv.gz", "empty.jsonl.gz"])
def test_a_file_of_no_bytes_is_an_empty_part(tmp_path, name):
    kind = name.removeprefix("empty")
    part(tmp_path / f"parts/a{kind}", "q")
    (tmp_path / "parts" / name).write_bytes(b"")
    assert read("table", tmp_path / "parts") == ["q"]
    (tmp_path / "parts" / name).write_bytes(gzip.compress(b"\n") if name.endswith(".gz") else b"\n")
    assert read("table", tmp_path / "parts") == ["q"]


def test_an_empty_parquet_file_without_columns_is_an_empty_part(tmp_path):
    part(tmp_path / "parts/a.parquet", "q")
    pq.write_table(pa.table({}), tmp_path / "parts/b.parquet")
    assert read("table", tmp_path / "parts") == ["q"]


@pytest.mark.parametrize(("reader", "kind"), READERS)
def test_files_one_level_down_come_with_the_pattern_to_write(tmp_path, reader, kind, caplog):
    part(tmp_path / f"data/lang=de/part-0{kind}", "q")
    part(tmp_path / f"data/_delta_log/0{kind}", "never")
    with pytest.raises(UserError) as error:
        read(reader, tmp_path / "data")
    pattern = f"{tmp_path}/data/**/*{kind}"
    assert f"`path: {pattern}`" in str(error.value)
    assert "q" in read(reader, pattern)
    part(tmp_path / f"data/top{kind}", "r")
    assert read(reader, tmp_path / "data") == ["r"]
    assert "1 files are read, and none of those in folders below it" in caplog.text


@pytest.mark.parametrize(
    "name",
    [b"caf\xe9.jsonl", b"two words.jsonl", b'it\'s "so".jsonl', b"{x}.jsonl", b"line\nbreak.jsonl", b"[1].jsonl"],
)
def test_names_of_any_bytes_are_read(tmp_path, name):
    part(tmp_path / "parts/a.jsonl", "q")
    place = os.fsdecode(os.fsencode(tmp_path / "parts") + b"/" + name)
    (tmp_path / "parts/a.jsonl").rename(place)
    assert read("jsonl", tmp_path / "parts") == read("table", tmp_path / "parts") == ["q"]
    assert local_files(str(tmp_path / "parts")) == [place]
    assert read("jsonl", place) == ["q"]


def test_endings_in_capitals_count(tmp_path):
    part(tmp_path / "parts/a.jsonl", "q").rename(tmp_path / "parts/A.JSONL")
    assert read("jsonl", tmp_path / "parts") == read("table", tmp_path / "parts/A.JSONL") == ["q"]


@pytest.mark.parametrize("reader", ["jsonl", "released", "table"])
def test_a_path_where_nothing_lies(tmp_path, reader):
    with pytest.raises(UserError, match=r"none\.jsonl cannot be read: No such file"):
        read(reader, tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="names no file of these kinds"):
        read(reader, tmp_path / "none-*.jsonl")


def test_of_a_hub_dataset_two_stars_fetch_folders_of_any_depth():
    """The files that the hub is asked for, by the rule that the hub's client has for patterns."""
    source = Source(reader="jsonl", hub="org/data", path="data/**/*.jsonl")
    patterns = dataset_job(source).patterns
    files = ["data/z.jsonl", "data/a/x.jsonl", "data/b/c/y.jsonl", "other/o.jsonl"]
    assert [f for f in files if any(fnmatch.fnmatchcase(f, p) for p in patterns)] == files[:3]


@pytest.mark.parametrize(("reader", "kind"), READERS)
@pytest.mark.parametrize("other", ["part-1.jsonl.zst", "part-1.csv.bz2", "data.zip", "part-1.arrow"])
def test_parts_in_a_form_that_is_not_read_are_told(tmp_path, reader, kind, other, caplog):
    part(tmp_path / f"parts/part-0{kind}", "q")
    (tmp_path / "parts/README.md").write_text("read me")
    assert read(reader, tmp_path / "parts") == ["q"] and not caplog.text
    (tmp_path / "parts" / other).write_bytes(b"x")
    assert read(reader, tmp_path / "parts") == ["q"]
    assert "1 files of other kinds are left out" in caplog.text and other in caplog.text


def test_what_the_workflow_watches_of_a_source(tmp_path):
    names = ["corpus.jsonl", "qrels/dev.tsv", "qrels/train.tsv", "queries.jsonl"]
    every = [str(written(tmp_path / name, "")) for name in names]
    assert local_files(str(tmp_path)) == every
    assert local_files(str(tmp_path / "qrels" / "dev.tsv")) == every
    assert local_files(every[0]) == every[:1]
    assert local_files(str(tmp_path / "*.jsonl")) == [every[0], every[3]]
    assert local_files(str(tmp_path / "gone")) == local_files(None) == []
