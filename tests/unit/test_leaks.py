import pytest

from tdro.artifacts import LEAKS, QUERIES, TEST_QUERIES, TRAIN, read_table, write_table
from tdro.config import Dedup
from tdro.dedup import dedup
from tdro.errors import UserError
from tdro.leaks import leaks

EVALUATED = {
    "web": ["how tall is the eiffel tower", "who wrote the origin of species", "what is a prime number"],
    "mkqa-ru": ["кто поет эту песню", "когда была основана москва"],
}
TRAINED = {
    "clean": ["best way to cook rice", "capital of peru"],
    "leaky": ["How tall is the Eiffel Tower?", "a question of its own", "когда была основана москва"],
}


def folder(tmp_path):
    """Evaluation queries, and tasks of which one holds two of them: one in other letters, one as it is."""
    for name, texts in EVALUATED.items():
        empty = [[]] * len(texts)
        columns = {"query_id": texts, "query": texts, "positives": empty, "negatives": empty}
        answers = {"grades": [None] * len(texts), "answers": [["x"]] * len(texts)}
        write_table(tmp_path / f"{name}.parquet", columns | answers, TEST_QUERIES)
    for task, texts in TRAINED.items():
        lists = [[0]] * len(texts)
        columns = {"query_id": texts, "query": texts, "positives": lists, "negatives": lists}
        write_table(tmp_path / f"{task}.queries.parquet", columns, QUERIES)
        rows = {"query": range(len(texts)), "positives": lists, "negatives": lists}
        write_table(tmp_path / f"{task}.train.parquet", rows, TRAIN)
    return tmp_path


def check(root):
    evaluation = {name: root / f"{name}.parquet" for name in EVALUATED}
    training = {task: (root / f"{task}.queries.parquet", root / f"{task}.train.parquet") for task in TRAINED}
    leaks(evaluation, training, root / "leaks.parquet", Dedup())
    return read_table(root / "leaks.parquet", LEAKS).to_pydict()


def test_planted_duplicates_are_found_and_deduplication_leaves_none(tmp_path):
    root = folder(tmp_path)
    assert check(root) == {"dataset": ["web", "mkqa-ru"], "queries": [3, 2], "leaked": [1, 1]}
    evaluation = {name: root / f"{name}.parquet" for name in EVALUATED}
    for task in TRAINED:
        outputs = root / f"{task}.train.parquet", root / f"{task}.duplicates.parquet"
        dedup(root / f"{task}.queries.parquet", None, evaluation, *outputs, Dedup())
    assert check(root)["leaked"] == [0, 0]


def test_a_query_found_in_two_tasks_counts_once(tmp_path):
    root = folder(tmp_path)
    for file in ("queries", "train"):
        (root / f"clean.{file}.parquet").write_bytes((root / f"leaky.{file}.parquet").read_bytes())
    assert check(root)["leaked"] == [1, 1]


def test_training_rows_of_other_queries_are_refused(tmp_path):
    root = folder(tmp_path)
    (root / "clean.train.parquet").write_bytes((root / "leaky.train.parquet").read_bytes())
    with pytest.raises(UserError, match=r"clean\.train\.parquet names a query"):
        check(root)
