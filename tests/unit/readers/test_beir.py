"""BEIR's layout as the source of a training task; as a benchmark it is proved with the other benchmarks."""

import re

import pytest
from reading import bad, items, written

from tdro.errors import UserError
from tdro.readers.base import Passage, PassageId, Row

CORPUS = [{"_id": "d1", "title": "T", "text": "one"}, {"_id": "d2", "text": "two"}, {"_id": "d3", "text": "three"}]
QUERIES = [{"_id": "q1", "text": "first"}, {"_id": "q0", "text": "unjudged"}, {"_id": "q2", "text": "second"}]


def make(folder, ending=""):
    header = "query-id\tcorpus-id\tscore\n"
    written(folder / f"corpus.jsonl{ending}", CORPUS)
    written(folder / f"queries.jsonl{ending}", QUERIES)
    written(folder / f"qrels/train.tsv{ending}", f"{header}q1\td1\t1\nq2\td3\t0\nq2\td1\t1\nq1\td2\t2\n")
    written(folder / f"qrels/dev.tsv{ending}", f"{header}q2\td3\t1\n")
    return folder


@pytest.fixture
def beir(tmp_path):
    return make(tmp_path / "beir")


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_splits(tmp_path, ending):
    beir = make(tmp_path / "beir", ending)
    passages = [Passage("one", "T", "d1"), Passage("two", "", "d2"), Passage("three", "", "d3")]
    assert items("beir", beir) == [
        *passages,
        Row("first", [PassageId("d1"), PassageId("d2")], query_id="q1"),
        Row("second", [PassageId("d1")], query_id="q2"),
    ]
    for path, split in ((beir, "test"), (beir / "qrels" / f"dev.tsv{ending}", "train")):
        assert items("beir", path, split) == [*passages, Row("second", [PassageId("d3")], query_id="q2")]


ONE = '{"_id": "d1", "text": "one"}'


@pytest.mark.parametrize(
    ("file", "content", "place", "complaint"),
    [
        ("qrels/train.tsv", "q1\td1\t1\nq1\td9\t1\n", "train.tsv, line 2", "names passage 'd9', which .*corpus.jsonl"),
        ("qrels/train.tsv", "q1\td1\t1\nq9\td1\t1\n", "train.tsv, line 2", "names query 'q9', which .*queries.jsonl"),
        ("qrels/train.tsv", "q1,d1,1\nq1\td1\t1\n", "train.tsv, line 1", "is neither `query-id<TAB>"),
        ("qrels/train.tsv", "q1\td1\tyes\nq1\td1\t1\n", "train.tsv, line 1", "has the grade 'yes'"),
        ("qrels/train.tsv", b"q1\td1\t1\nq\xe9\td1\t1\n", "train.tsv, line 2", "is not UTF-8"),
        ("corpus.jsonl", '{"_id": "d1"}\n' + ONE, "corpus.jsonl, line 1", "has no string `text`"),
        ("corpus.jsonl", "[]\n" + ONE, "corpus.jsonl, line 1", "is no JSON object; expected BEIR's"),
        ("corpus.jsonl", '{"_id": 2, "title": {}, "text": "x"}\n' + ONE, "corpus.jsonl, line 1", "has an object under"),
        ("queries.jsonl", '{\n{"_id": "q1", "text": "first"}', "queries.jsonl, line 1", "is not JSON"),
    ],
)
def test_reading_goes_on_after_a_malformed_line(beir, file, content, place, complaint):
    written(beir / file, content)
    found = items("beir", beir)
    assert bad(found)[0][0] == place
    assert re.match(complaint, bad(found)[0][1])
    (row,) = (item for item in found if isinstance(item, Row) and item.query == "first")
    assert row.positives[0] == PassageId("d1")


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("qrels/train.tsv", "q1\td1\t0\n", "marks no passage as relevant"),
        ("qrels/train.tsv", "query-id\tcorpus-id\tscore\n", "marks no passage as relevant"),
        ("corpus.jsonl", "", "corpus.jsonl is empty"),
        ("queries.jsonl", "\n", "queries.jsonl is empty"),
        ("queries.jsonl", None, r"queries\.jsonl cannot be read"),
        ("qrels/train.tsv", None, r"qrels has no train\.tsv"),
    ],
)
def test_what_cannot_be_read(beir, file, content, complaint):
    (beir / file).unlink()
    if content is not None:
        written(beir / file, content)
    with pytest.raises(UserError, match=complaint):
        items("beir", beir)


def test_numbers_are_text(beir):
    written(beir / "corpus.jsonl", [{"_id": 1, "title": 0, "text": 1984}])
    written(beir / "queries.jsonl", [{"_id": 2, "text": 911}])
    written(beir / "qrels/train.tsv", "2\t1\t1\n")
    assert items("beir", beir) == [Passage("1984", "0", "1"), Row("911", [PassageId("1")], query_id="2")]
