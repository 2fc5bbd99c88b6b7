"""Queries won and lost, with the passages that both retrievers found first."""

import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from finished import BENCHMARKS, Finished, content
from ours import write_sealed

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import QUERIES, SAMPLED_CORPUS, TEST_QUERIES
from tdro.errors import UserError
from tdro.report.scores import examples, queries


def collected(tree, mixture="curr"):
    return examples.collect(tree.settings, tree.layout, queries.read(tree.settings, tree.layout), {"tiny": mixture})


def planted(tree, benchmark, dataset, differences, seed=1):
    """The baseline scores 0.5 on every query, the mixture that and a difference, on the first queries."""
    base = np.full((60, 3), 0.5)
    moved = base.copy()
    moved[: len(differences), 0] += differences
    for mixture, values in (("uniform", base), ("curr", moved)):
        tree.evaluation("tiny", seed, mixture, benchmark, {dataset: values})


@pytest.fixture
def alone(tmp_path):
    return Finished(tmp_path, content(mixtures=["uniform", "curr"], benchmarks={"scifact": ["scifact"]}))


def shown(side):
    return [int(re.search(r"q(\d+)", example.query)[1]) for example in side]


def test_the_largest_differences_of_both_sides_are_shown(alone):
    planted(alone, "scifact", "scifact", [0.1, 0.3, -0.2, 0.2, 0.4, 0.05, 0.25, -0.4])
    (found,) = collected(alone)
    assert (found.heading, found.metric, found.counts) == ("scifact", "nDCG@10", (6, 2, 52))
    assert shown(found.won) == [4, 1, 6, 3, 0]
    assert shown(found.lost) == [7, 2]
    assert (found.won[0].before, found.won[0].after) == ("0.50", "0.90")


def test_both_retrievers_passages_stand_side_by_side_and_relevant_ones_are_marked(alone):
    planted(alone, "scifact", "scifact", [0.4, -0.4])
    (found,) = collected(alone)
    won, lost = found.won[0], found.lost[0]
    assert won.base == [examples.Found("scifact passage 1", False)]
    assert won.found == [examples.Found("scifact passage 0", True), examples.Found("scifact passage 1", False)]
    assert lost.found == [examples.Found("scifact passage 2", False)]
    assert (won.relevant, lost.relevant) == ("", "scifact passage 1")


def test_a_query_on_which_the_shown_seed_disagrees_is_none(tmp_path):
    settings = content(mixtures=["uniform", "curr"], benchmarks={"scifact": ["scifact"]}, seeds=[1, 2])
    tree = Finished(tmp_path, settings)
    planted(tree, "scifact", "scifact", [0.1, -0.1])
    planted(tree, "scifact", "scifact", [0.2, 0.4], seed=2)
    (found,) = collected(tree)
    assert found.counts == (2, 0, 58)
    assert shown(found.won) == [0]


def test_parts_of_a_benchmark_are_one_and_tasks_are_each_their_own(tree):
    assert [one.heading for one in collected(tree)] == [*BENCHMARKS["in_domain"], "nfcorpus", "scifact"]
    assert all(len(one.won) == 5 for one in collected(tree))


def test_passages_of_a_sample_are_found_by_the_rows_of_the_whole_corpus(tmp_path):
    benchmarks = {"scifact": ["scifact"]}
    settings = content(
        mixtures=["uniform", "curr"], benchmarks=benchmarks, sampled=["scifact"], corpora={"scifact": "scifact@sample"}
    )
    tree = Finished(tmp_path, settings)
    planted(tree, "scifact", "scifact", [0.4])
    asked = tree.layout.benchmark("scifact", "queries.parquet")
    columns = pq.read_table(asked).to_pydict() | {"positives": [[1000 + n] for n in range(60)]}
    write_table(asked, columns, QUERIES)
    rows = {"passage_id": [f"p{n}" for n in range(61)], "title": [""] * 61, "text": [f"sampled {n}" for n in range(61)]}
    rows["whole_row"] = [1000 + n for n in range(61)]
    write_table(tree.layout.benchmark("scifact@sample", "corpus.parquet"), rows, SAMPLED_CORPUS)
    (found,) = collected(tree)
    assert found.won[0].found == [examples.Found("sampled 0", True), examples.Found("sampled 1", False)]


def test_where_answers_decide_nothing_is_marked(alone):
    planted(alone, "scifact", "scifact", [0.4])
    asked = alone.layout.benchmark("scifact", "queries.parquet")
    columns = pq.read_table(asked).to_pydict() | {"grades": [None] * 60, "answers": [["passage"]] * 60}
    write_table(asked, columns | {"positives": [[]] * 60}, TEST_QUERIES)
    (found,) = collected(alone)
    assert {passage.relevant for passage in found.won[0].found} == {None} and not found.won[0].relevant


def test_evaluations_of_before_have_none(alone):
    for path in alone.root.rglob("eval/*.queries.parquet"):
        write_sealed(path, pq.read_table(path).drop_columns("first"))
    assert collected(alone) == []
    assert "Queries won and lost" not in alone.report().text


def test_queries_of_other_data_are_refused(alone):
    planted(alone, "scifact", "scifact", [0.4])
    asked = alone.layout.benchmark("scifact", "queries.parquet")
    columns = pq.read_table(asked).to_pydict() | {"query_id": [f"other{n}" for n in range(60)]}
    write_table(asked, columns, QUERIES)
    with pytest.raises(UserError, match="has no query 'q0', which scores of scifact name"):
        collected(alone)


def test_the_page_shows_examples_of_the_mixture_of_its_answer(built):
    assert re.search(r"news: curr won \d+, lost \d+", built.text)
    assert "✓ relevant: news passage" in built.text and "nfcorpus: curr won" in built.text
