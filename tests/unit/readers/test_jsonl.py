"""Lines of queries and passages in all the forms that are in use."""

import json

import pytest
from reading import bad, items, written

from tdro.readers.base import Passage, Row


def read(tmp_path, *values, name="rows.jsonl"):
    return items("jsonl", written(tmp_path / name, list(values)))


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
def test_all_forms_mean_the_same(tmp_path, name, value):
    path = written(tmp_path / name, json.dumps(value) + "\n\n")
    assert items("jsonl", path) == [Row("q", [Passage("one passage")], [])]


def test_titles_identifiers_and_negatives(tmp_path):
    tevatron = {
        "query_id": 7,
        "query": "q",
        "positive_passages": [{"docid": "d1", "title": "T", "text": "p"}, {"docid": "d2", "text": "r"}],
        "negative_passages": [{"text": "n"}],
    }
    assert read(tmp_path, tevatron, ["q", "p", "n"], {"query": "q", "pos": ["p", "r"], "neg": ["n", "m"]}) == [
        Row("q", [Passage("p", "T", "d1"), Passage("r", "", "d2")], [Passage("n")], "7"),
        Row("q", [Passage("p")], [Passage("n")]),
        Row("q", [Passage("p"), Passage("r")], [Passage("n"), Passage("m")]),
    ]


def test_a_set_is_one_row_whatever_its_size(tmp_path):
    texts = [f"text {i}" for i in range(500)]
    assert read(tmp_path, {"set": texts}) == [Row("text 0", [Passage(text) for text in texts[1:]], [])]


NO_PASSAGE = "has a passage that is neither a string nor an object with the string `text`"
NO_SET = "has a `set` that is no list of two or more strings"


@pytest.mark.parametrize(
    ("line", "complaint"),
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
        ('{"query": "q", "pos": [1]}', NO_PASSAGE),
        ('{"query": "q", "pos": "p", "neg": [{"title": "t"}]}', NO_PASSAGE),
        ('{"set": ["alone"]}', NO_SET),
        ('{"set": ["a", 2]}', NO_SET),
        ('{"set": "text"}', NO_SET),
        (b'["q", "caf\xe9"]', "is not UTF-8"),
    ],
    ids=range(15),
)
def test_reading_goes_on_after_a_malformed_line(tmp_path, line, complaint):
    line = line if isinstance(line, bytes) else line.encode()
    found = items("jsonl", written(tmp_path / "rows.jsonl", b'["q", "p"]\n' + line + b'\n["r", "s"]\n'))
    assert [row.query for row in (found[0], found[2])] == ["q", "r"]
    ((place, reason),) = bad(found)
    assert place == "rows.jsonl, line 2" and reason.startswith(complaint)
