"""`tdro add-task`: readers and columns are guessed, entries printed and appended."""

import json

import pytest
import yaml
from reading import written, written_records

from tdro.artifacts import strictyaml
from tdro.checking.newtask import append, new_task
from tdro.checking.newtask import written as entry_of
from tdro.cli.main import main
from tdro.config.registry import Registry
from tdro.config.sections import load
from tdro.errors import UserError


def source_of(path, **told):
    return new_task(str(path), 1000, **told).entry["source"]


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("id", "question", "answer"), {"query": "question", "positive": "answer"}),
        (("Anchor", "Positive", "Negative"), {"query": "Anchor", "positive": "Positive", "negatives": "Negative"}),
        (("sentence2", "sentence1", "score"), {"query": "sentence1", "positive": "sentence2"}),
        (("Title", "Body", "Accepted answer"), {"query": "{Title} {Body}", "positive": "Accepted answer"}),
        (("title", "body"), {"query": "title", "positive": "body"}),
        (("query_id", "query", "passage"), {"query": "query", "positive": "passage", "query_id": "query_id"}),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.jsonl"])
def test_columns_are_guessed_by_their_names(tmp_path, names, columns, name):
    rows = [[f"{name} {n} of all" for name in names] for n in range(30)]
    found = source_of(written_records(tmp_path / name, names, rows))
    if set(names) >= {"query", "positive"} and name.endswith("jsonl"):
        assert found["reader"] == "jsonl"
    else:
        assert found["reader"] == "table"
        assert found["columns"] == columns


def test_two_columns_of_text_are_told_apart_by_their_length(tmp_path):
    rows = [(f"a long text of many words {n} that explains it", f"short {n}", n) for n in range(30)]
    path = written_records(tmp_path / "t.csv", ("left", "right", "n"), rows)
    with pytest.raises(UserError, match="which column is the query"):  # n is text in CSV, so that there are three
        source_of(path)
    path = written_records(tmp_path / "t.parquet", ("left", "right", "n"), rows)
    assert source_of(path)["columns"] == {"query": "right", "positive": "left"}


def test_columns_that_cannot_be_guessed_are_asked_for(tmp_path):
    path = written_records(tmp_path / "t.csv", ("x", "y", "z"), [(f"a {n}", f"b {n}", f"c {n}") for n in range(30)])
    with pytest.raises(UserError, match=r"which column is the query\? It has x, y, z; name it with --query COLUMN"):
        source_of(path)
    with pytest.raises(UserError, match=r"which column is the positive\?"):
        source_of(path, columns={"query": "x"})
    assert source_of(path, columns={"query": "{x} {y}", "positive": "z"})["columns"]["query"] == "{x} {y}"


def test_a_table_whose_columns_have_the_names_of_keys_is_a_table(tmp_path):
    found = source_of(written(tmp_path / "t.csv", "query,positive\nthe first,its answer\n"))
    assert (found["reader"], found["columns"]) == ("table", {"query": "query", "positive": "positive"})


def test_identifiers_are_no_queries(tmp_path):
    path = written(tmp_path / "t.jsonl", [{"_id": f"doc {n}", "text": "some words"} for n in range(30)])
    with pytest.raises(UserError, match=r"which column is the query\? It has _id, text"):
        source_of(path)


def test_other_forms_have_readers_of_their_own(tmp_path):
    assert source_of(written(tmp_path / "a.jsonl", [["q", "p"], {"set": ["a", "b"]}])) == {
        "reader": "jsonl", "path": str(tmp_path / "a.jsonl"),
    }  # fmt: skip
    folder = tmp_path / "beir"
    written(folder / "corpus.jsonl", [{"_id": "1", "text": "x"}])
    written(folder / "queries.jsonl", [{"_id": "q", "text": "y"}])
    written(folder / "qrels/train.tsv", "q\t1\t1\n")
    assert source_of(folder) == {"reader": "beir", "path": str(folder)}


def test_language_markup_negatives_and_held_out_rows_follow_from_the_rows(tmp_path):
    rows = [
        {"query": f"wie kann ich das Ding {n} nicht mehr machen", "pos": f"<p>das ist {n}</p>", "neg": ["x"]}
        for n in range(50)
    ]
    entry = new_task(str(written(tmp_path / "My tickets.jsonl", rows)), 1000)
    assert entry.name == "My_tickets"
    assert {key: entry.entry[key] for key in ("language", "held_out", "negatives")} == {
        "language": "de", "held_out": 5, "negatives": "provided",
    }  # fmt: skip
    assert entry.entry["source"]["clean"] == "html"
    assert entry.facts.look.positives[0] == "das ist 0"


def test_an_entry_is_put_behind_the_last_task_and_all_else_stays(tmp_path):
    registry = written(
        tmp_path / "r.yaml",
        "# mine\ntasks:\n    one:   # first\n        category: web\n        language: en\n        instruction: Find.\n"
        "        source: {reader: py_code}\n\n# evaluated\nbenchmarks:\n    web: {language: en, instruction: Find., "
        "source: {reader: beir, path: x}}\n",
    )
    before = registry.read_text()
    task = new_task(str(written(tmp_path / "two.jsonl", [["q", "p"]])), 10)
    append(task, registry)
    after = registry.read_text()
    assert after.replace(entry_of(task, 4), "") == before
    assert after.index("    two:") < after.index("# evaluated")
    assert [*load(registry, Registry).tasks] == ["one", "two"]
    with pytest.raises(UserError, match="has a dataset 'two' already; choose another name with --name"):
        append(task, registry)
    with pytest.raises(UserError, match="has a dataset 'web' already"):
        append(task._replace(name="web"), registry)
    assert registry.read_text() == after


def test_a_registry_that_is_written_in_one_line_is_left_to_its_author(tmp_path):
    entry = {"category": "c", "language": "en", "instruction": "f", "source": {"reader": "py_code"}}
    registry = written(tmp_path / "r.yaml", json.dumps({"tasks": {"one": entry}}))
    with pytest.raises(UserError, match="has no line `tasks:`"):
        append(new_task(str(written(tmp_path / "two.jsonl", [["q", "p"]])), 10), registry)


def test_the_command_prints_what_a_registry_may_hold_and_makes_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "faq.csv", "question,answer\n" + "".join(f"what is {n},it is {n}\n" for n in range(40)))
    main(["add-task", "faq.csv", "--name", "mine"])
    printed = capsys.readouterr().out
    found = strictyaml.read(f"tasks:\n{printed}", "printed").values["tasks"]["mine"]
    assert found["source"] == {
        "reader": "table",
        "path": "faq.csv",
        "columns": {"query": "question", "positive": "answer"},
    }
    assert "# 40 rows; of the first 40: 40 distinct queries of 3 words" in printed
    main(["add-task", "faq.csv", "--append", "r.yaml"])
    assert yaml.safe_load((tmp_path / "r.yaml").read_text())["tasks"]["faq"]["held_out"] == 4
    with pytest.raises(SystemExit, match=r"nowhere\.csv cannot be read"):
        main(["add-task", "nowhere.csv"])
