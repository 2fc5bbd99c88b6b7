import json

import pytest
from benchmarkfiles import beir, miracl, mkqa, prepared

from tdro.artifacts.files import read_counts
from tdro.config.data import Data
from tdro.config.registry import Source
from tdro.data.prepare_queries import prepare_queries
from tdro.errors import UserError


def test_preparation_keeps_texts_grades_and_equal_queries(tmp_path):
    corpus, queries = prepared(tmp_path, "beir", beir(tmp_path / "beir"))
    assert corpus["text"][0] == "Lower  cholesterol.\n" and len(corpus["text"]) == 3
    assert queries == {
        "query_id": ["PLAIN-2", "PLAIN-3"],
        "query": ["Do statins help?"] * 2,
        "positives": [[0, 1], [2]],
        "negatives": [[], []],
        "grades": [[2, 1], [1]],
        "answers": [None, None],
    }


def test_preparation_of_answers(tmp_path):
    _, queries = prepared(tmp_path, "mkqa", mkqa(tmp_path / "mkqa"), "ru")
    assert queries["answers"][0] == ["Dave Edmunds", "Edmunds"]
    assert queries["positives"] == [[]] * 3 and queries["grades"] == [None] * 3


def test_passages_that_the_corpus_lacks_stay_judged_and_are_counted(tmp_path, caplog):
    folder = beir(tmp_path / "beir")
    with (folder / "qrels/test.tsv").open("a") as file:
        file.write("PLAIN-2\tgone\t3\nunjudged\tgone\t1\nunjudged\tlost\t2\n")
    _, queries = prepared(tmp_path, "beir", folder)
    assert queries["query_id"] == ["PLAIN-2", "unjudged", "PLAIN-3"]
    assert queries["positives"] == [[0, 1], [], [2]]
    assert queries["grades"] == [[2, 1, 3], [1, 2], [1]]
    counts = read_counts(tmp_path / "out/queries.parquet")
    assert counts["relevant passages that the corpus lacks"] == 3
    assert counts["queries of which it lacks all relevant passages"] == 1
    assert "lacks 3 passages that are judged relevant, for 1 queries all of them" in caplog.text


def test_queries_without_a_relevant_passage_or_answer_are_counted(tmp_path):
    folder = beir(tmp_path / "beir")
    with (folder / "qrels/test.tsv").open("a") as file:
        file.write("unjudged\tMED-10\t0\nunjudged\tMED-14\t-1\n")
    assert prepared(tmp_path, "beir", folder)[1]["query_id"] == ["PLAIN-2", "PLAIN-3"]
    left_out = "queries without a relevant passage or answer"
    assert read_counts(tmp_path / "out/queries.parquet")[left_out] == 1
    prepared(tmp_path, "mkqa", mkqa(tmp_path / "mkqa"), "ru")
    assert read_counts(tmp_path / "out/queries.parquet")[left_out] == 3


def test_identifiers_that_come_twice_are_counted(tmp_path, caplog):
    folder = beir(tmp_path / "beir")
    with (folder / "corpus.jsonl").open("a") as file:
        file.write(json.dumps({"_id": "MED-10", "title": "", "text": "again"}) + "\n")
    assert prepared(tmp_path, "beir", folder)[1]["positives"] == [[0, 1], [2]]
    assert read_counts(tmp_path / "out/queries.parquet")["relevant passages whose identifier comes twice"] == 1
    assert "1 relevant passages twice" in caplog.text


def test_a_corpus_of_another_benchmark_is_refused(tmp_path):
    beir(tmp_path / "beir"), miracl(tmp_path / "miracl")
    prepared(tmp_path, "miracl", tmp_path / "miracl")
    source = Source(reader="beir", path=str(tmp_path / "beir"))
    with pytest.raises(UserError, match="holds none of the relevant passages"):
        prepare_queries("b", source, None, None, Data(), tmp_path / "out/corpus.parquet", tmp_path / "q.parquet")
    assert not (tmp_path / "q.parquet").exists()
