import json

import pytest
from benchmarkfiles import beir, read

from tdro.errors import UserError


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_beir(tmp_path, suffix):
    documents, queries = read("beir", beir(tmp_path, suffix))
    assert documents[0] == ("Lower  cholesterol.\n", "Statins", "MED-10")
    assert [d.passage_id for d in documents] == ["MED-10", "MED-14", "4983"]
    assert [(q.query_id, q.text, q.grades) for q in queries] == [
        ("PLAIN-2", "Do statins help?", {"MED-10": 2, "MED-14": 1}),
        ("PLAIN-3", "Do statins help?", {"4983": 1}),
    ]


def test_beir_on_dev_by_name_and_where_there_is_no_test(tmp_path):
    folder = beir(tmp_path)
    by_name = read("beir", folder / "qrels/dev.tsv")[1]
    (folder / "qrels/test.tsv").unlink()
    assert by_name == read("beir", folder)[1]
    assert [q.query_id for q in by_name] == ["unjudged"]


def test_beir_parts_are_folders(tmp_path):
    for part in ("android", "gis"):
        beir(tmp_path / "cqadupstack" / part)
    assert len(read("beir", tmp_path / "cqadupstack/{part}", "gis")[1]) == 2


def test_what_is_not_asked_may_be_missing_or_have_no_text(tmp_path):
    folder = beir(tmp_path)
    with (folder / "queries.jsonl").open("a") as file:
        file.write(json.dumps({"_id": "of another split", "text": None}) + "\n")
    with (folder / "qrels/test.tsv").open("a") as file:
        file.write("judged but unknown\tMED-10\t0\n")
    assert [query.query_id for query in read("beir", folder)[1]] == ["PLAIN-2", "PLAIN-3"]


def test_what_comes_twice_is_told(tmp_path, caplog):
    folder = beir(tmp_path)
    with (folder / "queries.jsonl").open("a") as file:
        file.write(json.dumps({"_id": "PLAIN-2", "text": "another text"}) + "\n")
    with (folder / "qrels/test.tsv").open("a") as file:
        file.write("PLAIN-3\tMED-14\t2\nPLAIN-3\t4983\t1\n")
    queries = read("beir", folder)[1]
    assert [(q.text, q.grades) for q in queries] == [
        ("Do statins help?", {"MED-10": 2, "MED-14": 1}),
        ("Do statins help?", {"4983": 1, "MED-14": 2}),
    ]
    assert "1 queries have the identifier of an earlier one" in caplog.text
    assert "judges 1 passages twice and differently" in caplog.text


MALFORMED = {
    "corpus is no JSON": ("corpus.jsonl", "{", "corpus.jsonl, line 1 is not JSON"),
    "corpus is empty": ("corpus.jsonl", "\n", "corpus.jsonl is empty"),
    "corpus without text": ("corpus.jsonl", '{"_id": "a"}\n', "corpus.jsonl, line 1 has no string `text`"),
    "null for a text": ("corpus.jsonl", '{"_id": "a", "text": null}\n', "corpus.jsonl, line 1 has no string `text`"),
    "list for a title": (
        "corpus.jsonl",
        '{"_id": "a", "title": ["b"], "text": "c"}\n',
        "line 1 has a list under `title`",
    ),
    "truth for a text": (
        "queries.jsonl",
        '{"_id": "PLAIN-2", "text": true}\n',
        "line 1 has true or false under `text`",
    ),
    "null for an identifier": ("queries.jsonl", '{"_id": null, "text": "a"}\n', "line 1 has no string `_id`"),
    "blank identifier": ("queries.jsonl", '{"_id": " ", "text": "a"}\n', "line 1 has an empty `_id`"),
    "list for an object": ("queries.jsonl", "[]\n", "queries.jsonl, line 1 is not a JSON object"),
    "qrels of five columns": ("qrels/test.tsv", "q\t0\td\t1\t2\n", "test.tsv, line 1 is neither"),
    "qrels of words": ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq\td\tyes\n", "line 2 has the grade 'yes'"),
    "a word where a header may be": ("qrels/test.tsv", "q\td\tyes\nq\td\t1\n", "line 1 has the grade 'yes'"),
    "half a grade": ("qrels/test.tsv", "q\td\t0.5\n", "line 1 has the grade '0.5'; expected a whole number"),
    "no grade at all": ("qrels/test.tsv", "q\td\tnan\n", "line 1 has the grade 'nan'"),
    "qrels of zeros": ("qrels/test.tsv", "PLAIN-2\tMED-10\t0\n", "grades no passage above 0"),
    "qrels of unknown queries": ("qrels/test.tsv", "who\tMED-10\t1\n", "names query 'who'"),
    "not UTF-8": ("queries.jsonl", b'{"_id": "\xff"}\n', "queries.jsonl, line 1 is not UTF-8"),
    "a broken archive": ("corpus.jsonl.gz", b"\x1f\x8b\x08\x00junk", "corpus.jsonl.gz cannot be read"),
}


@pytest.mark.parametrize(("file", "content", "complaint"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_files_are_named(tmp_path, file, content, complaint):
    folder = beir(tmp_path)
    if file.endswith(".gz"):
        (folder / file.removesuffix(".gz")).unlink()
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=complaint):
        read("beir", folder)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"corpus\.jsonl \(or \.gz\) does not exist.*BEIR"):
        read("beir", tmp_path)
    with pytest.raises(UserError, match="holds no file named like docs"):
        read("miracl", tmp_path)
