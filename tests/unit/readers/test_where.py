"""Which rows a source's `where` takes, through the readers of records, and what is said where it takes none."""

import pytest
from reading import written, written_records

from tdro.artifacts import strictyaml
from tdro.config.registry import Source
from tdro.config.sections import parse
from tdro.errors import UserError
from tdro.readers.base import BadRow, check_source, rows
from tdro.readers.testsets.base import check_testset

NAMES = ("q", "p", "locale", "stars")
RECORDS = [("a", "x", "en", 5), ("b", "y", "de", 4), ("c", "z", "en-GB", 5), ("d", "w", "no", 3)]


def source(path, where, reader="table", **keys):
    columns = {"query": "q", "positive": "p"} if reader == "table" else None
    document = strictyaml.read(f"{{where: {where}}}", "r.yaml")
    values = {**document.values, "reader": reader, "path": str(path), "columns": columns, **keys}
    return parse(Source, values, "r.yaml", document.written)


def queries(path, where, reader="table"):
    return [row.query for row in rows(source(path, where, reader))]


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.tsv.gz", "t.jsonl"])
@pytest.mark.parametrize(
    ("where", "taken"),
    [
        ("{locale: en}", "a"),
        ("{locale: [en, en-GB]}", "ac"),
        ("{stars: 5}", "ac"),
        ("{stars: '5', locale: [en-GB, de]}", "c"),
        ("{stars: [3.0, 4]}", "bd"),
        ("{locale: [de, no]}", "bd"),  # YAML reads `no` as false
        ("{}", "abcd"),
    ],
)
def test_rows_of_every_kind_of_table(tmp_path, name, where, taken):
    assert "".join(queries(written_records(tmp_path / name, NAMES, RECORDS), where)) == taken


def test_values_of_json(tmp_path):
    lines = [
        {"query": "a", "pos": "x", "tags": ["u", "v"], "ok": True, "n": 1},
        {"query": "b", "pos": "y", "tags": [], "ok": False, "n": None},
        {"query": "c", "pos": "z"},
        ["d", "w"],
    ]
    path = written(tmp_path / "t.jsonl", lines)
    assert queries(path, "{tags: v}", "jsonl") == ["a"]
    assert queries(path, "{ok: true}", "jsonl") == ["a"]
    assert queries(path, "{ok: false}", "released") == ["b"]
    assert queries(path, "{n: [null, 1]}", "jsonl") == ["a", "b", "c", "d"]


def test_rows_that_are_not_taken_may_be_malformed(tmp_path):
    path = written(tmp_path / "t.jsonl", [{"q": "a", "p": "x", "k": 1}, {"q": 1, "k": 2}, {"q": 2, "k": 1}])
    assert [type(item) for item in rows(source(path, "{k: 1}"))][1:] == [BadRow]


def test_a_part_without_a_match_is_no_empty_part(tmp_path, caplog):
    for name, locale in (("a.jsonl", "de"), ("b.jsonl", "en")):
        written(tmp_path / name, [{"query": "q", "pos": "x", "locale": locale}])
    assert len(queries(tmp_path, "{locale: en}", "jsonl")) == 1
    assert not caplog.records


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("{locale: EN-gb}", r"takes none of 4 rows: it asks for 'EN-gb' in `locale`, and the column has 'en' \(1\), "
         r"'de' \(1\), 'en-GB' \(1\), 'no' \(1\) \(did you mean 'en-GB'\?\)"),
        ("{locale: en, stars: 3}", "each of locale, stars matches some rows, but no row matches all"),
        ("{stars: null}", r"it asks for nothing in `stars`, and the column has '5' \(2\), '4' \(1\)"),
    ],
)  # fmt: skip
def test_no_match_is_told_with_what_was_seen(tmp_path, where, said):
    with pytest.raises(UserError, match=said):
        queries(written_records(tmp_path / "t.csv", NAMES, RECORDS), where)


def test_a_misspelt_column_is_told(tmp_path):
    with pytest.raises(UserError, match=r"t.csv has no column 'local' \(did you mean 'locale'\?\)"):
        queries(written_records(tmp_path / "t.csv", NAMES, RECORDS), "{local: en}")
    with pytest.raises(UserError, match=r"no row has the key 'local' \(did you mean 'locale'\?\); they have q, p, loc"):
        queries(written_records(tmp_path / "t.jsonl", NAMES, RECORDS), "{local: en}")


def test_a_value_that_no_row_has_is_warned_of(tmp_path, caplog):
    path = written_records(tmp_path / "t.csv", NAMES, RECORDS)
    assert queries(path, "{locale: [en, fr]}") == ["a"]
    assert "no row has 'fr' in `locale`, which `where` asks for; the column has 'en' (1)" in caplog.text


def test_many_values_are_counted_up_to_a_limit(tmp_path):
    path = written_records(tmp_path / "t.csv", ("q", "p", "k"), [("a", "x", f"v{i}") for i in range(3000)])
    with pytest.raises(UserError, match=r"and at least 992 others"):
        queries(path, "{k: w}")
    assert len(queries(path, "{k: v2999}")) == 1


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(UserError, match=r"`where.day.0`: a text, a number, true, false or null is expected, not 2024-"):
        source("x.csv", "{day: 2024-01-01}")
    with pytest.raises(UserError, match="'beir' does not know `where`, which is for jsonl, released, table"):
        check_source(source("x", "{a: b}", "beir"))
    with pytest.raises(UserError, match="reads whole benchmarks and does not know `where`"):
        check_testset(source("x", "{a: b}", "miracl"), [])
