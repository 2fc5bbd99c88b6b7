"""Readers of local data on small files of each format, whole, malformed and broken."""

import gzip
import io
import json
import re
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tdro.config.registry import Columns, Source
from tdro.errors import UserError
from tdro.readers.base import BadRow, Passage, PassageId, Row, rows
from tdro.readers.parts import local_files


def found(reader, path, split="train", **keys):
    return list(rows(Source(reader=reader, path=str(path), **keys), split))


def bad(items):
    """Where and why of the malformed rows, the folder left out."""
    return [(row.place.rpartition("/")[2], row.reason) for row in items if isinstance(row, BadRow)]


# --- jsonl


def jsonl(tmp_path, *values, name="rows.jsonl"):
    text = "".join((value if isinstance(value, str) else json.dumps(value)) + "\n" for value in values)
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return found("jsonl", path)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
@pytest.mark.parametrize(
    "value",
    [
        {"query": "q", "positive": "one passage"},
        {"query": "q", "pos": ["one passage"]},
        {"query": "q", "positives": {"text": "one passage"}},
        {"query": "q", "positive_passages": [{"title": "", "text": "one passage"}]},
        ["q", "one passage"],
        {"set": ["q", "one passage"]},
    ],
    ids=str,
)
def test_jsonl_forms_mean_the_same(tmp_path, name, value):
    assert jsonl(tmp_path, value, "", name=name) == [Row("q", [Passage("one passage")], [])]


def test_jsonl_titles_identifiers_and_negatives(tmp_path):
    tevatron = {
        "query_id": 7,
        "query": "q",
        "positive_passages": [{"docid": "d1", "title": "T", "text": "p"}, {"docid": "d2", "text": "r"}],
        "negative_passages": [{"text": "n"}],
    }
    assert jsonl(tmp_path, tevatron, ["q", "p", "n"], {"query": "q", "pos": ["p", "r"], "neg": ["n", "m"]}) == [
        Row("q", [Passage("p", "T", "d1"), Passage("r", "", "d2")], [Passage("n")], "7"),
        Row("q", [Passage("p")], [Passage("n")]),
        Row("q", [Passage("p"), Passage("r")], [Passage("n"), Passage("m")]),
    ]


def test_a_set_is_one_row_whatever_its_size(tmp_path):
    texts = [f"text {i}" for i in range(500)]
    assert jsonl(tmp_path, {"set": texts}) == [Row("text 0", [Passage(text) for text in texts[1:]], [])]


@pytest.mark.parametrize(
    "line, complaint",
    [
        ("{broken", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('"text"', "has no query"),
        ('["q"]', "has no query"),
        ('["q", "p", "n", "more"]', "has no query"),
        ('{"positive": "p"}', "has no query"),
        ('{"query": 3, "positive": "p"}', "has no query"),
        ('{"query": "q"}', "has no positive"),
        ('{"query": "q", "pos": []}', "has no positive"),
        ('{"query": "q", "pos": [1]}', "has a passage that is neither a string nor an object"),
        ('{"query": "q", "pos": "p", "neg": [{"title": "t"}]}', "has a passage that is neither a string nor an object"),
        ('{"set": ["alone"]}', "has a `set` that is no list of two or more strings"),
        ('{"set": ["a", 2]}', "has a `set` that is no list of two or more strings"),
        ('{"set": "text"}', "has a `set` that is no list of two or more strings"),
    ],
    ids=range(14),
)
def test_jsonl_goes_on_after_a_malformed_line(tmp_path, line, complaint):
    first, wrong, last = jsonl(tmp_path, ["q", "p"], line, ["r", "s"])
    assert (first.query, last.query) == ("q", "r")
    assert wrong.place == f"{tmp_path}/rows.jsonl, line 2"
    assert wrong.reason.startswith(complaint)


def test_jsonl_counts_lines_that_are_not_utf8(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(b'["q", "p"]\n["q", "caf\xe9"]\n')
    assert bad(found("jsonl", tmp_path / "rows.jsonl")) == [("rows.jsonl, line 2", "is not UTF-8")]


def test_a_line_beyond_all_measure_is_malformed(tmp_path, monkeypatch):
    monkeypatch.setattr("tdro.readers.files._LONGEST_LINE", 50)
    items = jsonl(tmp_path, ["q", "p"], ["long", "p" * 200], ["r", "x" * 41], ["q", "p" * 42], ["s", "p"])
    assert [row.query for row in items if isinstance(row, Row)] == ["q", "r", "s"]
    assert [place for place, _ in bad(items)] == ["rows.jsonl, line 2", "rows.jsonl, line 4"]


def test_jsonl_missing_and_empty(tmp_path):
    with pytest.raises(UserError, match=r"none\.jsonl cannot be read: No such file"):
        found("jsonl", tmp_path / "none.jsonl")
    with pytest.raises(UserError, match=r"rows\.jsonl holds no rows"):
        jsonl(tmp_path)


def test_a_broken_gzip_is_one_sentence(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    packed = gzip.compress(b"".join(b'["query %d", "passage"]\n' % i for i in range(9999)))
    middle = len(packed) // 2
    for broken in (packed[:-9], packed[:middle], packed[:middle] + b"\xff" * 99 + packed[middle + 99 :], b"text"):
        path.write_bytes(broken)
        with pytest.raises(UserError, match=r"rows\.jsonl\.gz cannot be read: .*; correct `path`"):
            found("jsonl", path)


# --- released

VALUE = {
    "query_id": "1",
    "query": "q",
    "positive_passages": [{"docid": "a", "title": "T", "text": "p"}],
    "negative_passages": [{"docid": "b", "title": "", "text": "n"}],
}
ROW = Row("q", [Passage("p", "T", "a")], [Passage("n", "", "b")], "1")


def archive(path, files, links=()):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, kind, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)
    return path


def test_released_is_read_as_a_stream(tmp_path):
    path = archive(tmp_path / "task.jsonl.tar.gz", {"README": b"?", "task.jsonl": json.dumps(VALUE).encode()})
    assert found("released", path) == [ROW]


def test_released_plain_gzipped_or_a_folder_of_parts(tmp_path):
    lines = [json.dumps(VALUE | {"query_id": i}).encode() for i in range(3)]
    archive(tmp_path / "a.jsonl.tar.gz", {"a.jsonl": lines[0]})
    (tmp_path / "b.jsonl").write_bytes(lines[1])
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(lines[2]))
    (tmp_path / "README.md").write_text("not read")
    for number, name in enumerate(["a.jsonl.tar.gz", "b.jsonl", "c.jsonl.gz"]):
        assert found("released", tmp_path / name) == [ROW._replace(query_id=str(number))]
    assert [row.query_id for row in found("released", tmp_path)] == ["0", "1", "2"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no \.jsonl, .* file"):
        found("released", tmp_path / "empty")


def test_released_writes_nothing_and_follows_no_link(tmp_path):
    inside = tmp_path / "folder"
    inside.mkdir()
    (tmp_path / "secret.jsonl").write_text('["secret", "text"]')
    path = archive(
        inside / "task.tar.gz",
        {"../../evil.jsonl": json.dumps(VALUE).encode(), "._task.jsonl": b"\0mac"},
        [("link.jsonl", tarfile.SYMTYPE, "../secret.jsonl"), ("hard.jsonl", tarfile.LNKTYPE, "../secret.jsonl")],
    )
    before = sorted(tmp_path.rglob("*"))
    assert found("released", path) == [ROW]
    assert sorted(tmp_path.rglob("*")) == before


def test_released_malformed(tmp_path):
    path = tmp_path / "task.tar.gz"
    items = found("released", archive(path, {"task.jsonl": b"{}\n" + json.dumps(VALUE).encode()}))
    assert items[1:] == [ROW]
    assert items[0].place == f"{path}:task.jsonl, line 1"
    with pytest.raises(UserError, match=r"holds no \.jsonl file"):
        found("released", archive(path, {"README": b"?"}))


def test_a_broken_archive_is_one_sentence(tmp_path):
    content = b"".join(b'["query %d", "passage %d"]\n' % (i, i * i) for i in range(20_000))
    packed = archive(tmp_path / "whole.tar.gz", {"task.jsonl": content}).read_bytes()
    middle = len(packed) // 2
    damaged = packed[:middle] + bytes(99) + packed[middle + 99 :]
    for broken in (packed[:middle], packed[:-5], damaged, b"not an archive", gzip.compress(b"no tar" * 999)):
        path = tmp_path / "task.tar.gz"
        path.write_bytes(broken)
        with pytest.raises(UserError, match=r"task\.tar\.gz cannot be read: .*; correct `path`"):
            found("released", path)


# --- beir


CORPUS = [{"_id": "d1", "title": "T", "text": "one"}, {"_id": "d2", "text": "two"}, {"_id": "d3", "text": "three"}]
QUERIES = [{"_id": "q1", "text": "first"}, {"_id": "q0", "text": "unjudged"}, {"_id": "q2", "text": "second"}]


def make_beir(folder, ending=""):
    (folder / "qrels").mkdir(parents=True)
    header = "query-id\tcorpus-id\tscore\n"
    for name, content in {
        "corpus.jsonl": "\n".join(map(json.dumps, CORPUS)),
        "queries.jsonl": "\n".join(map(json.dumps, QUERIES)),
        "qrels/train.tsv": f"{header}q1\td1\t1\nq2\td3\t0\nq2\td1\t1\nq1\td2\t2\n",
        "qrels/dev.tsv": f"{header}q2\td3\t1\n",
    }.items():
        (folder / f"{name}{ending}").write_bytes(gzip.compress(content.encode()) if ending else content.encode())
    return folder


@pytest.fixture
def beir(tmp_path):
    return make_beir(tmp_path / "beir")


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_beir_splits(tmp_path, ending):
    beir = make_beir(tmp_path / "beir", ending)
    passages = [Passage("one", "T", "d1"), Passage("two", "", "d2"), Passage("three", "", "d3")]
    assert found("beir", beir) == [
        *passages,
        Row("first", [PassageId("d1"), PassageId("d2")], query_id="q1"),
        Row("second", [PassageId("d1")], query_id="q2"),
    ]
    for path, split in ((beir, "test"), (beir / "qrels" / f"dev.tsv{ending}", "train")):
        assert found("beir", path, split) == [*passages, Row("second", [PassageId("d3")], query_id="q2")]


@pytest.mark.parametrize(
    "file, content, place, complaint",
    [
        ("qrels/train.tsv", "q1\td1\t1\nq1\td9\t1\n", "train.tsv, line 2", "names passage 'd9', which .*corpus.jsonl"),
        ("qrels/train.tsv", "q1\td1\t1\nq9\td1\t1\n", "train.tsv, line 2", "names query 'q9', which .*queries.jsonl"),
        ("qrels/train.tsv", "q1,d1,1\nq1\td1\t1\n", "train.tsv, line 1", "is neither `query-id<TAB>"),
        ("qrels/train.tsv", "q1\td1\tyes\nq1\td1\t1\n", "train.tsv, line 1", "has the grade 'yes'"),
        ("qrels/train.tsv", b"q1\td1\t1\nq\xe9\td1\t1\n", "train.tsv, line 2", "is not UTF-8"),
        ("corpus.jsonl", '{"_id": "d1"}\n{"_id": "d1", "text": "one"}', "corpus.jsonl, line 1", "has no string `text`"),
        ("corpus.jsonl", '[]\n{"_id": "d1", "text": "one"}', "corpus.jsonl, line 1", "is no JSON object"),
        (
            "corpus.jsonl",
            '{"_id": "d2", "title": {}, "text": "one"}\n{"_id": "d1", "text": "one"}',
            "corpus.jsonl, line 1",
            "has an object under `title`",
        ),
        ("queries.jsonl", '{\n{"_id": "q1", "text": "first"}', "queries.jsonl, line 1", "is not JSON"),
    ],
)
def test_beir_goes_on_after_a_malformed_line(beir, file, content, place, complaint):
    (beir / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    items = found("beir", beir)
    assert bad(items)[0][0] == place
    assert re.match(complaint, bad(items)[0][1])
    (row,) = (item for item in items if isinstance(item, Row) and item.query == "first")
    assert row.positives[0] == PassageId("d1")


@pytest.mark.parametrize(
    "file, content, complaint",
    [
        ("qrels/train.tsv", "q1\td1\t0\n", "marks no passage as relevant"),
        ("corpus.jsonl", "", "corpus.jsonl is empty"),
        ("queries.jsonl", "\n", "queries.jsonl is empty"),
        ("queries.jsonl", None, r"queries\.jsonl cannot be read"),
        ("qrels/train.tsv", None, r"qrels has no train\.tsv"),
    ],
)
def test_beir_unreadable(beir, file, content, complaint):
    (beir / file).unlink()
    if content is not None:
        (beir / file).write_text(content)
    with pytest.raises(UserError, match=complaint):
        found("beir", beir)


def test_beir_takes_numbers_as_text(beir):
    (beir / "corpus.jsonl").write_text('{"_id": 1, "title": 0, "text": 1984}\n')
    (beir / "queries.jsonl").write_text('{"_id": 2, "text": 911}\n')
    (beir / "qrels/train.tsv").write_text("2\t1\t1\n")
    assert found("beir", beir) == [Passage("1984", "0", "1"), Row("911", [PassageId("1")], query_id="2")]


# --- table

MEDMCQA = {
    "id": ["m1", "m2", "m3"],
    "question": ["Which nerve?", "Which drug?", "Which organ?"],
    "opa": ["a", "b", "c"],
    "opb": ["a", "b", "c"],
    "opc": ["a", "b", "c"],
    "opd": ["a", "b", "c"],
    "cop": [0, 3, 2],
    "choice_type": ["single", "multi", "single"],
    "exp": ["The vagus nerve.", None, "The liver, of course."],
    "subject_name": ["Anatomy", "Pharmacology", "Anatomy"],
    "topic_name": [None, None, "Abdomen"],
}


def table(path, **columns):
    return found("table", path, columns=Columns(**columns))


def test_medmcqa(tmp_path):
    pq.write_table(pa.table(MEDMCQA), tmp_path / "train.parquet", row_group_size=2)
    assert table(tmp_path / "train.parquet", query="question", positive="exp") == [
        Row("Which nerve?", [Passage("The vagus nerve.")], []),
        Row("Which drug?", [Passage("")], []),
        Row("Which organ?", [Passage("The liver, of course.")], []),
    ]


RECORDS = [
    {"id": 1, "q": "first", "p": "passage, with a comma", "t": "T", "n": "n"},
    {"id": 2, "q": "second", "p": "zweite Passage: \u00e4", "t": "", "n": "m"},
]


def write_table(path):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(RECORDS), path)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, RECORDS)))
    else:
        separator, quote = (",", '"') if ".csv" in path.name else ("\t", "")
        lines = [RECORDS[0].keys(), *(record.values() for record in RECORDS)]
        text = "".join(separator.join(f"{quote}{cell}{quote}" for cell in line) + "\r\n" for line in lines)
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz", "t.tsv", "t.tsv.gz", "t.jsonl"])
def test_tables_of_every_kind_mean_the_same(tmp_path, name):
    path = write_table(tmp_path / name)
    assert table(path, query="q", positive="p", title="t", negatives="n", query_id="id") == [
        Row("first", [Passage("passage, with a comma", "T")], [Passage("n")], "1"),
        Row("second", [Passage("zweite Passage: \u00e4")], [Passage("m")], "2"),
    ]


def test_parts_are_read_in_the_order_of_their_names(tmp_path):
    for number in (2, 0, 1):
        pq.write_table(pa.table({"q": [f"q{number}"], "p": ["p"]}), tmp_path / f"train-{number}.parquet")
    for path in (tmp_path, tmp_path / "train-*.parquet"):
        assert [row.query for row in table(path, query="q", positive="p")] == ["q0", "q1", "q2"]
    (tmp_path / "more.csv").write_text("q,p\nq,p\n")
    with pytest.raises(UserError, match=r"holds \.csv and \.parquet files; `path` must name files of one kind"):
        table(tmp_path, query="q", positive="p")
    with pytest.raises(UserError, match="names no file of these kinds"):
        table(tmp_path / "none-*.parquet", query="q", positive="p")


def test_lists_of_strings_and_titles(tmp_path):
    records = [
        {"q": "a", "p": ["x", "y"], "t": ["X", "Y"], "n": ["m", None]},
        {"q": "b", "p": [], "t": ["X"], "n": None},
        {"q": "c", "p": ["x", "y", "z"], "t": ["X", "Y"], "n": []},
    ]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "t.parquet")
    items = table(tmp_path / "t.parquet", query="q", positive="p", title="t", negatives="n")
    assert items[:2] == [
        Row("a", [Passage("x", "X"), Passage("y", "Y")], [Passage("m"), Passage("")]),
        Row("b", [], [Passage("")]),
    ]
    assert bad(items) == [("t.parquet, row 3", "has 2 titles in column 't' for 3 positives")]


def test_csv_cells_with_quotes_and_line_breaks(tmp_path):
    (tmp_path / "t.csv").write_text('\ufeffq,p\n"say ""hi""","two\nlines"\n\n"bad"x,p\nc,d\n', encoding="utf-8")
    items = table(tmp_path / "t.csv", query="q", positive="p")
    assert items[0] == Row('say "hi"', [Passage("two\nlines")], [])
    assert items[2] == Row("c", [Passage("d")], [])
    assert [place for place, _ in bad(items)] == ["t.csv, line 5"]


@pytest.mark.parametrize(
    "name, content, expected",
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
def test_tables_go_on_after_a_malformed_row(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    items = table(tmp_path / name, query="q", positive="p")
    assert bad(items) == expected
    assert any(isinstance(item, Row) for item in items)


def test_parquet_goes_on_after_a_malformed_row(tmp_path):
    texts = pa.array([b"fine", b"caf\xe9", b"fine too"]).view(pa.string())
    pq.write_table(pa.table({"q": ["a", "b", "c"], "p": texts}), tmp_path / "t.parquet")
    items = table(tmp_path / "t.parquet", query="q", positive="p")
    assert [row.query for row in items if isinstance(row, Row)] == ["a", "c"]
    assert bad(items) == [("t.parquet, row 2", "is not UTF-8")]


def test_tables_that_cannot_be_read(tmp_path):
    names = {"query": "q", "positive": "missing"}
    for name in ("t.parquet", "t.csv", "t.tsv"):
        path = write_table(tmp_path / name)
        with pytest.raises(UserError, match=r"has no column 'missing'; it has id, q, p, t, n"):
            table(path, **names)
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(UserError, match=r"t\.csv holds no rows"):
        table(tmp_path / "t.csv", **names)
    (tmp_path / "t.csv").write_text('"q"x,missing\n')
    with pytest.raises(UserError, match=r"t\.csv cannot be read"):
        table(tmp_path / "t.csv", **names)
    (tmp_path / "t.csv").write_text("q,missing\n")
    with pytest.raises(UserError, match=r"t\.csv holds no rows"):
        table(tmp_path / "t.csv", **names)
    whole = (tmp_path / "t.parquet").read_bytes()
    for broken in (b"PAR1", whole[:-20], b"PAR1" + bytes(len(whole))):
        (tmp_path / "t.parquet").write_bytes(broken)
        with pytest.raises(UserError, match=r"t\.parquet cannot be read"):
            table(tmp_path / "t.parquet", **names)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"q,p\n" + b"a,b\n" * 999)[:-9])
    with pytest.raises(UserError, match=r"t\.csv\.gz cannot be read"):
        table(tmp_path / "t.csv.gz", query="q", positive="p")


# --- what the workflow watches


def test_local_files_of_a_source(beir):
    names = ["corpus.jsonl", "qrels/dev.tsv", "qrels/train.tsv", "queries.jsonl"]
    every = [str(beir / name) for name in names]
    assert local_files(str(beir)) == every
    assert local_files(str(beir / "qrels" / "dev.tsv")) == every
    assert local_files(every[0]) == every[:1]
    assert local_files(str(beir / "*.jsonl")) == [every[0], every[3]]
    assert local_files(str(beir / "gone")) == local_files(None) == []


def csv_rows(tmp_path, text, name="t.csv"):
    (tmp_path / name).write_text(text)
    return table(tmp_path / name, query="q", positive="p")


MANY = "".join(f"q{number},p{number}\n" for number in range(300))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'q,p\na,b\nc,"never closed\n{MANY}', "line 3: a quote opens in this row and is not closed until the end"),
        (f'q,p\na,b\nc,"never closed\n{MANY}d,"e"\n', "line 3: a quote that opens in this row takes in 301 more lines"),
        (
            f'q,p\na,b\nc,"never closed\n{MANY}d,TV 50",x\n',
            "line 3: the row that starts here and ends on line 304",
        ),
        ('q,p\na,b\nc,"d', "line 3: a quote opens"),
        ("q,p\na,b\nc", "line 3 has 1 cells.* in the middle of this row"),
    ],
)
def test_a_file_that_a_quote_or_its_end_breaks_counts_as_no_single_bad_row(tmp_path, text, said):
    with pytest.raises(UserError, match=rf"t\.csv, {said}"):
        csv_rows(tmp_path, text)


def test_a_quote_that_takes_in_rows_and_is_closed_is_told(tmp_path, caplog):
    items = csv_rows(tmp_path, f'q,p\na,b\nc,"never closed\n{MANY}d,TV 50"\n')
    assert len(items) == 2 and "line 3: a cell holds what looks like rows" in caplog.text
    caplog.clear()
    csv_rows(tmp_path, 'q,p\na,"one\ntwo, three, four\nand five"\nb,"x\ny"\n')
    assert not caplog.text


@pytest.mark.parametrize("reader", ["jsonl", "table"])
def test_a_file_that_ends_in_the_middle_of_a_row_is_cut_off(tmp_path, reader):
    path = tmp_path / "rows.jsonl"
    columns = Columns(query="query", positive="positive") if reader == "table" else None
    for end in ('{"query": "r", "posit', '{"query": "r", "posit\0\0\0', "\0\0\0"):
        path.write_text('{"query": "q", "positive": "p"}\n' + end)
        with pytest.raises(UserError, match=r"rows\.jsonl, line 2 is not .*: the file ends in the middle of this row"):
            found(reader, path, columns=columns)


def test_a_parquet_file_with_a_broken_row_group_is_one_sentence(tmp_path):
    path = tmp_path / "t.parquet"
    names = [f"{number} {number * number}" for number in range(50_000)]
    pq.write_table(pa.table({"q": names, "p": names}), path, row_group_size=10_000, use_dictionary=False)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 5000] = bytes(5000)
    path.write_bytes(whole)
    with pytest.raises(UserError, match=r"t\.parquet cannot be read: "):
        table(path, query="q", positive="p")


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.binary())])
def test_texts_that_spark_wrote_as_bytes_are_texts(tmp_path, kind):
    texts = pa.array(["erste", "zweite \u00e4"]).cast(pa.binary()).cast(kind)
    pq.write_table(pa.table({"q": texts, "p": texts, "i": texts}), tmp_path / "t.parquet")
    assert table(tmp_path / "t.parquet", query="q", positive="p", title="p", query_id="i") == [
        Row(text, [Passage(text, text)], [], text) for text in ("erste", "zweite \u00e4")
    ]
    wrong = pa.array([b"fine", b"caf\xe9"])
    pq.write_table(pa.table({"q": ["a", "b"], "p": wrong}), tmp_path / "t.parquet")
    assert bad(table(tmp_path / "t.parquet", query="q", positive="p")) == [
        ("t.parquet, row 2", "is not UTF-8 in column 'p'")
    ]


@pytest.mark.parametrize("name", ["t.parquet", "t.jsonl"])
def test_lists_of_objects_are_passages(tmp_path, name):
    records = [
        {"q": "a", "p": [{"docid": "1", "title": "T", "text": "x"}], "n": [{"docid": "2", "title": None, "text": "y"}]},
        {"q": "b", "p": [{"docid": None, "title": "U", "text": "z"}], "n": []},
    ]
    if name == "t.parquet":
        pq.write_table(pa.Table.from_pylist(records), tmp_path / name)
    else:
        (tmp_path / name).write_text("".join(map("{}\n".format, map(json.dumps, records))))
    assert table(tmp_path / name, query="q", positive="p", negatives="n") == [
        Row("a", [Passage("x", "T", "1")], [Passage("y", "", "2")]),
        Row("b", [Passage("z", "U")], []),
    ]


def test_objects_without_a_text_name_the_way_out(tmp_path):
    records = [{"q": "a", "p": {"text": ["x"], "answer_start": [3]}}, {"q": "a", "p": {"body": "x"}}]
    (tmp_path / "t.jsonl").write_text("".join(map("{}\n".format, map(json.dumps, records))))
    reasons = [reason for _, reason in bad(table(tmp_path / "t.jsonl", query="q", positive="p"))]
    assert "without a string `text` (it has text, answer_start); make a column of strings" in reasons[0]
    assert "it has body" in reasons[1]


def test_titles_that_are_numbers_are_texts(tmp_path):
    pq.write_table(pa.table({"q": ["a", "b"], "p": ["x", "y"], "t": [1984, None]}), tmp_path / "t.parquet")
    items = table(tmp_path / "t.parquet", query="q", positive="p", title="t")
    assert [row.positives[0].title for row in items] == ["1984", ""]


@pytest.mark.parametrize("cell", ["['first', 'second']", "['first' 'second']", '["it\'s", "so"]'])
@pytest.mark.parametrize("column", ["p", "n"])
def test_lists_written_as_text_are_refused(tmp_path, cell, column):
    quoted = '"' + cell.replace('"', '""') + '"'
    for count in (3, 30):
        rest = {"p": "x", "n": "y"} | {column: quoted}
        (tmp_path / "t.csv").write_text("q,p,n\n" + f"a,{rest['p']},{rest['n']}\n" * count)
        with pytest.raises(UserError, match=r"t\.csv holds lists written as text.*orient='records'"):
            table(tmp_path / "t.csv", query="q", positive="p", negatives="n")
    with pytest.raises(UserError, match="lists written as text"):
        jsonl(tmp_path, ["q", cell])


def test_some_lists_written_as_text_are_told(tmp_path, caplog):
    items = jsonl(tmp_path, ["q", "['a', 'b']"], ["q", "[1, 2]"], ["q", "['a"], ["q", "['a', 'b']"])
    assert len(items) == 4 and "2 of 4 rows have a list written as text" in caplog.text


def test_quotes_that_tsv_keeps_are_told(tmp_path, caplog):
    items = csv_rows(tmp_path, 'q\tp\na\t"one"\nb\t"say ""hi"""\nc\t"\nd\t"a" and "b\n', "t.tsv")
    assert [row.positives[0].text for row in items] == ['"one"', '"say ""hi"""', '"', '"a" and "b']
    assert "t.tsv, line 2: a cell keeps the quotes around it" in caplog.text and "(2 such rows)" in caplog.text
    caplog.clear()
    csv_rows(tmp_path, 'q,p\na,"one"\nb,"""two"""\n')
    assert not caplog.text


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_blank_lines_before_the_header_are_passed_over(tmp_path, name):
    separator = "," if name == "t.csv" else "\t"
    assert csv_rows(tmp_path, f"\n\nq{separator}p\na{separator}b\n", name) == [Row("a", [Passage("b")], [])]


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    with pytest.raises(UserError, match="has 2 columns 'p'"):
        csv_rows(tmp_path, "q,p,p\na,b,c\n")
