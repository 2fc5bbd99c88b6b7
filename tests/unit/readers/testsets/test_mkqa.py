import json

import pytest
from benchmarkfiles import mkqa, read
from reading import written

from tdro.errors import UserError


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mkqa(tmp_path, suffix):
    documents, queries = read("mkqa", mkqa(tmp_path, suffix), "ru")
    assert len(queries) == 6
    queries = [query for query in queries if query.answers]
    assert documents == [('Aaron is a "prophet", he said', "Aaron", "1"), ("Dave Edmunds sang it", "I Hear You", "2")]
    assert [(q.query_id, q.text) for q in queries] == [
        ("563260143484355911", "кто поет?"),
        ("-1", "сколько?"),
        ("5", "когда?"),
    ]
    assert [q.answers for q in queries] == [
        ("Dave Edmunds", "Edmunds"),
        ("26.0", "26", "twenty six"),
        ("2017-11-20", "20 November 2017"),
    ]
    assert {q.grades for q in queries} == {None}


def test_mkqa_with_passages_as_in_beir_and_without_any(tmp_path):
    mkqa(tmp_path, passages=None)
    with pytest.raises(UserError, match=r"neither psgs_w100.tsv nor corpus.jsonl.*`corpus`"):
        read("mkqa", tmp_path, "ru")
    written(tmp_path / "corpus.jsonl", [{"_id": "a", "title": "T", "text": "x"}])
    assert read("mkqa", tmp_path / "mkqa.jsonl.gz", "en")[0] == [("x", "T", "a")]
    with pytest.raises(UserError, match="no question in 'xx'; its languages are en, ru"):
        read("mkqa", tmp_path, "xx")


def test_answers_that_are_no_objects_are_named(tmp_path):
    row = {"example_id": 1, "queries": {"ru": "?"}, "answers": {"en": ["yes"]}}
    mkqa(tmp_path, suffix="")
    (tmp_path / "mkqa.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=r"mkqa.jsonl, line 1 has an `answers.en` that lists no objects"):
        read("mkqa", tmp_path, "ru")
