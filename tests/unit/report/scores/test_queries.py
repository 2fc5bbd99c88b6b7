import re

import numpy as np
import polars as pl
import pytest
from finished import Finished, content

from tdro.artifacts.files import read_json, write_json, write_table
from tdro.artifacts.schemas import QUERY_SCORES
from tdro.errors import UserError
from tdro.report.scores.queries import read

RUN = ("tiny", 1, "curr")


def without_a_query(tree):
    tree.evaluation(*RUN, "scifact", {"scifact": tree.scores[*RUN, "scifact"][:-1]})


def with_untrained_scores_of_fewer_queries(tree):
    tree.untrained("bm25", {dataset: np.zeros((59, 3)) for dataset in tree.datasets})


def without_some_tasks(tree):
    tree.evaluation(*RUN, "in_domain", {"news": tree.scores[*RUN, "news"]})


def with_figures_of_another_run(tree):
    path = tree.layout.scores(*RUN, "scifact")
    figures = read_json(path)
    figures["datasets"]["scifact"]["mrr_at_10"] += 0.01
    write_json(path, figures)


def changed(column):
    """Queries of which one column is another."""

    def change(tree):
        path = tree.layout.query_scores(*RUN, "scifact")
        write_table(path, pl.read_parquet(path).with_columns(column).to_arrow(), QUERY_SCORES)

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_a_query, "differ in the queries of 'scifact', for example 'q59'"),
        (with_untrained_scores_of_fewer_queries, "untrained/bm25/.* differ in the queries"),
        (without_some_tasks, "holds scores of news, but the report expects code, medical, news"),
        (with_figures_of_another_run, "states mrr_at_10 .* the two files are of different runs"),
        (changed(pl.lit(np.nan).alias("ndcg_at_10")), "no finite number"),
        (changed(pl.lit("q1").alias("query_id")), "names a query of 'scifact' twice"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(tmp_path, spoil, message):
    tree = Finished(tmp_path, content(untrained=["bm25"]))
    tree.untrained("bm25", 0.5)
    read(tree.settings, tree.layout)
    spoil(tree)
    with pytest.raises(UserError, match=message):
        read(tree.settings, tree.layout)


@pytest.mark.parametrize("kind", ["scores", "query_scores"])
def test_missing_scores_are_named(tmp_path, kind):
    tree = Finished(tmp_path)
    path = tmp_path / getattr(tree.layout, kind)(*RUN, "scifact")
    path.unlink()
    with pytest.raises(UserError, match=re.escape(str(path))):
        read(tree.settings, tree.layout)


def test_scores_without_the_dimensions_of_the_report_are_refused(tmp_path):
    tree = Finished(tmp_path, content(dimensions=[64]))
    path = tree.layout.scores("tiny", 1, "uniform", "in_domain")
    with pytest.raises(UserError, match=rf"{re.escape(path)} was made without `evaluation.dimensions`"):
        read(tree.settings, tree.layout)
    tree.cut({512: 0.9, 128: 0.5})
    with pytest.raises(UserError, match=r"has no column 'ndcg_at_10@64'"):
        read(tree.settings, tree.layout)
