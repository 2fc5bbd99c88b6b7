import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tdro.artifacts.digests import content_digest
from tdro.artifacts.files import read_counts, read_table
from tdro.artifacts.schemas import CORPUS, DEV_QUERIES, QUERIES
from tdro.config.data import Data
from tdro.config.registry import Source, TaskRows
from tdro.data.prepare import prepare_task
from tdro.errors import UserError


def prepared(folder, examples, name="toy", seed=42, **keys):
    """The folder of a task that is prepared of these examples."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in examples))
    task = TaskRows(source=Source(reader="jsonl", path=str(path)), **keys)
    prepare_task(name, task, Data(seed=seed), folder / name)
    return folder / name


def texts(folder):
    """The passages, the queries with the texts of their passages, and the same of the dev queries alone."""
    passages = read_table(folder / "corpus.parquet", CORPUS)["text"].to_pylist()
    rows = read_table(folder / "queries.parquet", QUERIES).to_pylist()
    dev = read_table(folder / "dev/queries.parquet", DEV_QUERIES).to_pylist()
    for row in dev:
        assert rows[row["row"]] == {name: value for name, value in row.items() if name != "row"}
    queries, apart = (
        {row["query"]: {passages[place] for place in row["positives"]} for row in found} for found in (rows, dev)
    )
    return set(passages), queries, apart


@given(
    pairs=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 25)), min_size=10, max_size=120),
    wanted=st.integers(1, 4),
    held_out=st.integers(0, 3),
)
@settings(max_examples=30)
def test_what_answers_a_dev_query_answers_none_that_is_trained_on(tmp_path_factory, pairs, wanted, held_out):
    rows = [[f"question {query}", f"answer {passage}"] for query, passage in pairs]
    try:
        output = prepared(tmp_path_factory.mktemp("task"), rows, dev=wanted, held_out=held_out)
    except UserError as error:
        assert "lower `" in str(error)
        return
    passages, queries, dev = texts(output)
    trained = {query: answers for query, answers in queries.items() if query not in dev}
    known = set().union(*dev.values())
    assert len(dev) == wanted
    assert trained
    assert known <= passages
    assert all(known.isdisjoint(answers) for answers in trained.values())
    held = read_table(output / "heldout/queries.parquet", QUERIES)["query"].to_pylist()
    assert set(held).isdisjoint(queries)
    of_source = {f"question {query}" for query, _ in pairs}
    counts = read_counts(output / "queries.parquet")
    dropped = sum(
        counts.get(name, 0) for name in ("surplus of a held-out passage", "positives on both sides of the split")
    )
    assert len(of_source) == len(queries) + len(held) + dropped + counts["answered by the passage of a dev query"]


def test_a_dev_split_moves_nothing_that_is_drawn_of_a_task_without_one(tmp_path):
    rows = [[f"question {n}", f"answer {n}"] for n in range(80)]
    held = []
    for name, dev in (("toy", 0), ("toy", 9)):
        output = prepared(tmp_path, rows, name, held_out=10, held_out_corpus=30, dev=dev)
        held.append([content_digest(output / "heldout" / file) for file in ("corpus.parquet", "queries.parquet")])
        passages, queries, apart = texts(output)
        assert (len(queries), len(apart), len(passages)) == (70, dev, 70)
    assert held[0] == held[1]
    other = prepared(tmp_path, rows, "other", held_out=10, dev=9)
    assert texts(other)[2].keys() != apart.keys()


def test_rows_limit_what_is_trained_on_and_leave_the_dev_queries(tmp_path):
    rows = [[f"question {n}", f"answer {n}"] for n in range(80)]
    _, queries, apart = texts(prepared(tmp_path, rows, rows=20, dev=7))
    assert (len(queries), len(apart)) == (27, 7)


def test_provided_negatives_of_dev_queries_are_kept(tmp_path):
    rows = [{"query": f"question {n}", "pos": [f"answer {n}"], "neg": [f"answer {(n + 1) % 40}"]} for n in range(40)]
    output = prepared(tmp_path, rows, negatives="provided", dev=5)
    dev = read_table(output / "dev/queries.parquet", DEV_QUERIES)
    assert [len(found) for found in dev["negatives"].to_pylist()] == [1] * 5
    assert np.all(np.diff(dev["row"].to_numpy()) > 0)


def test_too_many_dev_queries_are_refused(tmp_path):
    rows = [[f"question {n}", f"answer {n % 3}"] for n in range(30)]
    with pytest.raises(UserError, match=r"task toy: setting 5 dev queries apart leaves 0 .* finds 3 .* lower `dev`\.$"):
        prepared(tmp_path, rows, dev=5)
    assert not (tmp_path / "toy").exists()
