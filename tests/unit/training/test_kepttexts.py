import pyarrow as pa
import pytest
from ours import turn

from tdro.artifacts.files import table_writer, write_table
from tdro.artifacts.schemas import CORPUS, PLAN, QUERIES
from tdro.errors import UserError
from tdro.training import kepttexts
from tdro.training.kepttexts import KeptTexts, keep_texts


@pytest.fixture
def results(tmp_path):
    """A task of 10 passages in row groups of 3, the last one without a title, and of 4 queries."""
    folder = tmp_path / "data" / "task"
    with table_writer(folder / "corpus.parquet", CORPUS) as file:
        for start in range(0, 10, 3):
            rows = range(start, min(start + 3, 10))
            titles = [None if row == 9 else f" title {row}" for row in rows]
            file.append({"passage_id": map(str, rows), "title": titles, "text": [f"text {row}\t\n" for row in rows]})
            file.flush()
    asked = {"query_id": list("abcd"), "query": [f"query {row}" for row in range(4)]}
    write_table(folder / "queries.parquet", asked | dict.fromkeys(("positives", "negatives"), [[]] * 4), QUERIES)
    return tmp_path


def plan(*rows):
    """A plan out of (query, positive, negative) of one task."""
    queries, positives, negatives = zip(*rows, strict=True)
    content = {"step": [0] * len(rows), "slot": range(len(rows)), "task": ["task"] * len(rows)}
    content |= {"query": queries, "positive": positives, "negatives": [[row] for row in negatives]}
    return pa.table(content, schema=PLAN)


@pytest.mark.parametrize("decoders", [1, 2])
def test_the_texts_that_a_plan_names_are_those_of_the_files_and_no_others_are_kept(results, monkeypatch, decoders):
    monkeypatch.setattr(kepttexts, "_DECODERS", decoders)
    folder = results / "kept"
    keep_texts(plan((2, 9, 0), (0, 5, 9), (2, 4, 5)), results, folder)
    corpus, queries = (KeptTexts(folder, "task", file) for file in ("corpus", "queries"))
    named = {row: corpus[row] for row in (0, 4, 5, 9)}
    assert named == {row: ["" if row == 9 else f" title {row}", f"text {row}\t\n"] for row in (0, 4, 5, 9)}
    assert [queries[0], queries[2]] == [["query 0"], ["query 2"]]
    for kept, row in ((corpus, 1), (corpus, 10), (queries, 3)):
        with pytest.raises(KeyError):
            kept[row]


def test_what_is_kept_is_written_once(results):
    before = []
    for _ in range(2):
        keep_texts(plan((0, 1, 2)), results, results / "kept")
        files = sorted((results / "kept" / "task").iterdir())
        before.append([(file.name, file.stat().st_mtime_ns) for file in files])
    kinds = ("arrow", "json", "npy")
    assert [name for name, _ in before[0]] == [f"{side}.{kind}" for side in ("corpus", "queries") for kind in kinds]
    assert before[0] == before[1]


@pytest.mark.parametrize("name", ["corpus.arrow", "corpus.npy", "queries.json"])
def test_what_a_run_of_before_left_damaged_is_written_again(results, name):
    keep_texts(plan((0, 1, 2)), results, results / "kept")
    files = {file.name: file.read_bytes() for file in (results / "kept" / "task").iterdir()}
    turn(results / "kept" / "task" / name, len(files[name]) // 2)
    keep_texts(plan((0, 1, 2)), results, results / "kept")
    assert {file.name: file.read_bytes() for file in (results / "kept" / "task").iterdir()} == files


@pytest.mark.parametrize(("row", "said"), [((0, 1, 10), "row 10 of .*corpus"), ((-1, 1, 2), "row -1 of .*queries")])
def test_a_row_that_a_file_does_not_have_is_told_before_the_training(results, row, said):
    with pytest.raises(UserError, match=f"the plan names {said}.parquet, which has .*; make the plan anew"):
        keep_texts(plan(row), results, results / "kept")
