"""Tasks that nothing can be learnt from: the stage that sees it says so by the task's name."""

import json

import pytest

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import QUERIES, TRAIN
from tdro.cli.main import main
from tdro.config.registry import Registry
from tdro.config.sections import parse
from tdro.errors import UserError


def refusal(*command):
    """The sentence that a command ends with; None where it succeeds."""
    try:
        main([str(word) for word in command])
    except SystemExit as end:
        return end.code
    return None


@pytest.fixture
def prepare(tmp_path):
    """How `tdro prepare` of some rows ends, and the number of queries that it wrote."""

    def run(rows, **keys):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        task = {"source": {"reader": "jsonl", "path": str(path)}, **keys}
        output = tmp_path / "faq"
        error = refusal("prepare", "faq", "--output", output, "--settings", json.dumps({"task": task}))
        return error, len(read_table(output / "queries.parquet", QUERIES))

    return run


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[f"question {n}", "see the manual"] for n in range(6)], "the only passage answers each of its 6 queries"),
        (
            [{"query": f"question {n}", "pos": ["first answer", "second answer"]} for n in range(3)],
            "all 2 passages answer each of its 3 queries",
        ),
        (
            # The passages of the negatives stay, but those that are said to answer are no negatives.
            [[f"question {n}", "see the manual", "see the manual"] for n in range(6)],
            "the only passage answers each of its 6 queries",
        ),
    ],
)
def test_a_task_without_contrast_is_refused_by_name_when_its_files_are_written(prepare, rows, said):
    error, queries = prepare(rows)
    assert said in error and "task faq" in error
    assert "rows read: " in error and "leave the task out" in error
    assert queries == len(rows)


@pytest.mark.parametrize(
    ("rows", "keys"),
    [
        ([["one question", "see the manual"]], {}),
        ([["one question", "an answer"]] * 5, {}),
        ([[f"question {n}", f"answer {n}"] for n in range(5)], {"held_out": 4}),
        ([[f"question {n}", f"answer {n}", f"other {n}"] for n in range(1)], {"negatives": "provided"}),
    ],
)
def test_preparation_warns_of_a_single_query_by_the_tasks_name(prepare, caplog, rows, keys):
    assert prepare(rows, **keys) == (None, 1)
    assert "task faq: 1 training query left in queries.parquet, at least 2 are needed (rows read: " in caplog.text


def test_a_query_that_every_passage_answers_is_told(prepare, caplog):
    rows = [{"query": "both", "pos": ["first answer", "second answer"]}, ["one", "first answer"]]
    assert prepare(rows) == (None, 2)
    assert "task faq: every passage answers 1 of its queries" in caplog.text


def test_two_queries_and_two_passages_are_enough(prepare):
    assert prepare([["one", "first answer"], ["two", "second answer"]]) == (None, 2)
    assert prepare([["one", "an answer", "another"], ["two", "an answer", "another"]], negatives="provided") == (
        None,
        2,
    )


def test_one_row_left_by_deduplication_is_refused_by_the_tasks_name(tmp_path):
    folder = tmp_path / "faq"
    folder.mkdir()
    columns = {"query_id": ["a", "b"], "query": ["where is rome", "who wrote it"]}
    lists = {"positives": [[0], [1]], "negatives": [[1], [0]]}
    write_table(folder / "queries.parquet", columns | lists, QUERIES)
    other = tmp_path / "web.parquet"
    write_table(other, {"query_id": ["x"], "query": ["Where is Rome?"], "positives": [[0]], "negatives": [[]]}, QUERIES)
    command = ["dedup", "--queries", folder / "queries.parquet", "--evaluation", f"web={other}", "--threads", 1]
    error = refusal(*command, "--train", folder / "train.parquet", "--duplicates", folder / "duplicates.parquet")
    assert "task faq: 1 training query left" in error and "near-duplicates of evaluation queries: 1" in error
    assert len(read_table(folder / "train.parquet", TRAIN)) == 1


def test_a_single_row_is_refused_before_any_job():
    dataset = {"source": {"reader": "released"}, "language": "en", "instruction": "Find an answer.", "category": "web"}
    with pytest.raises(UserError, match=r"`tasks\.news\.rows`: must be 2 or more, not"):
        parse(Registry, {"tasks": {"news": {**dataset, "rows": 1}}}, "tasks.yaml")
