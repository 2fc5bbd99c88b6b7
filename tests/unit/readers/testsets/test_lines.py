import json

import pytest
from benchmarkfiles import beir, mkqa, read
from reading import written

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import CORPUS
from tdro.config.data import Data
from tdro.config.registry import Source
from tdro.data.prepare_corpus import prepare_corpus

NUMBERS = {
    "beir": ({"_id": 7, "title": 1984, "text": 0}, ("7", "1984", "0")),
    "null title": ({"_id": "a", "title": None, "text": 2.5}, ("a", "", "2.5")),
    "title 0": ({"_id": 1, "title": 0, "text": ""}, ("1", "0", "")),
    "title that is not a number": ({"_id": 1, "title": float("nan"), "text": "x"}, ("1", "", "x")),
    "half a character": ({"_id": "\ud83d", "title": "\ud83d", "text": "\udc00"}, ("\ufffd", "\ufffd", "\ufffd")),
}


@pytest.mark.parametrize("reader", ["beir", "mkqa", "miracl"])
@pytest.mark.parametrize(("record", "expected"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_and_nulls_are_text_in_every_format(tmp_path, reader, record, expected):
    if reader == "miracl":
        record = {"docid" if key == "_id" else key: value for key, value in record.items()}
    written(tmp_path / ("docs-0.jsonl" if reader == "miracl" else "corpus.jsonl"), json.dumps(record) + "\n")
    prepare_corpus("b", Source(reader=reader, path=str(tmp_path)), None, Data(), tmp_path / "out.parquet")
    (row,) = read_table(tmp_path / "out.parquet", CORPUS).to_pylist()
    assert tuple(row.values()) == expected


def test_numbers_are_text_in_queries_and_answers_too(tmp_path):
    folder = beir(tmp_path / "beir")
    written(folder / "queries.jsonl", [{"_id": 12, "text": 1984}])
    written(folder / "qrels/test.tsv", "12\t4983\t1\n")
    assert [(q.query_id, q.text) for q in read("beir", folder)[1]] == [("12", "1984")]
    answers = [{"type": "number", "text": 26, "aliases": "twenty six"}, {"type": "date", "text": None, "aliases": None}]
    row = {"example_id": 3, "queries": {"en": 911}, "answers": {"en": answers}}
    mkqa(tmp_path / "mkqa", suffix="")
    written(tmp_path / "mkqa/mkqa.jsonl", [row])
    (query,) = read("mkqa", tmp_path / "mkqa")[1]
    assert (query.query_id, query.text, query.answers) == ("3", "911", ("26", "twenty six"))
