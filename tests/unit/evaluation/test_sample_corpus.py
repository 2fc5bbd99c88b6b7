"""Samples of corpora: what they hold, and what a preview's scores are beside full ones."""

from pathlib import Path

import bm25s
import numpy as np
import pytest
from testsets import random_dataset, run, save_dataset, searched

from tdro.artifacts.files import read_counts, read_table, write_table
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import CORPUS, QUERIES, SAMPLED_CORPUS, TEST_QUERIES
from tdro.config.schema import Sample
from tdro.errors import UserError
from tdro.evaluation.sample_corpus import sample_corpus


def words_of(rng, number):
    return [" ".join(f"w{x}" for x in rng.zipf(1.6, 12) % 300) for _ in range(number)]


def worded(tmp_path, seed=1, passages=400, queries=25):
    """A test set of random words, of which some are frequent."""
    rng = np.random.default_rng(seed)
    positives = [sorted(rng.choice(passages, 2, replace=False).tolist()) for _ in range(queries)]
    return save_dataset(tmp_path / "ds", words_of(rng, passages), words_of(rng, queries), positives), positives


def sampled(dataset, folder, sample, queries=None):
    """The test set on a sample of its corpus, and the rows of it."""
    output = folder / "corpus.parquet"
    sample_corpus(Path(dataset.corpus), [Path(file) for file in queries or [dataset.queries]], sample, output)
    rows = read_table(output, SAMPLED_CORPUS)["whole_row"].to_pylist()
    return dataset.model_copy(update={"corpus": str(output)}), rows


def test_a_sample_holds_all_that_is_relevant_the_hardest_of_bm25s_and_random_passages(tmp_path):
    dataset, positives = worded(tmp_path)
    relevant = {row for rows in positives for row in rows}
    assert set(sampled(dataset, tmp_path / "relevant", Sample(hard=0, random=0))[1]) == relevant
    texts = read_table(dataset.corpus, CORPUS)["text"].to_pylist()
    index = bm25s.BM25()
    index.index([text.split() for text in texts], show_progress=False)
    asked = [query.split() for query in read_table(dataset.queries, QUERIES)["query"].to_pylist()]
    best, scores = index.retrieve(asked, k=8, show_progress=False)
    hard = set(sampled(dataset, tmp_path / "hard", Sample(hard=7, random=0))[1])
    # The last place of a query may go to either of two passages of one score.
    sure = {
        row for rows, of in zip(best, scores, strict=True) for row, score in zip(rows, of, strict=True) if score > of[7]
    }
    assert relevant | sure <= hard
    assert len(hard) <= len(relevant | set(best.ravel().tolist()))
    _, both = sampled(dataset, tmp_path / "both", Sample(hard=7, random=60))
    _, chance = sampled(dataset, tmp_path / "random", Sample(hard=0, random=60))
    assert set(both) == hard | set(chance)
    assert both == sorted(both)
    assert len(set(chance) - relevant) <= 60 <= len(chance)


def test_random_passages_do_not_depend_on_the_order_of_the_corpus_but_on_the_seed(tmp_path):
    dataset, positives = worded(tmp_path)
    table = read_table(dataset.corpus, CORPUS)
    order = np.random.default_rng(0).permutation(len(table))
    place = np.argsort(order)
    texts = [table["text"][row].as_py() for row in order.tolist()]
    queries = read_table(dataset.queries, QUERIES)["query"].to_pylist()
    turned = save_dataset(tmp_path / "turned", texts, queries, [place[rows].tolist() for rows in positives])
    kept = []
    for name, one, seed in (("a", dataset, 1), ("b", turned, 1), ("c", dataset, 2)):
        found, _ = sampled(one, tmp_path / name, Sample(hard=0, random=50, seed=seed))
        kept.append(sorted(read_table(found.corpus, CORPUS)["text"].to_pylist()))
    assert kept[0] == kept[1] != kept[2]


@pytest.mark.parametrize("ahead", [False, True])
def test_no_query_scores_less_in_a_preview_and_all_of_a_corpus_is_the_corpus(tmp_path, ahead):
    """Whoever embeds passages one by one ranks those that are left as before."""
    model, dataset, *_ = random_dataset(tmp_path)
    full, queries = run(tmp_path, model, {"d": dataset})
    preview, _ = sampled(dataset, tmp_path / "some", Sample(hard=0, random=10))
    if ahead:
        (preview,) = searched(tmp_path, model, {"d": preview}, parts=2).values()
    scores, better = run(tmp_path, model, {"d": preview}, out="preview")
    for metric in ("ndcg_at_10", "mrr_at_10", "recall_at_100"):
        assert np.all(np.array(better[metric]) >= np.array(queries[metric]))
    assert np.mean(better["ndcg_at_10"]) > np.mean(queries["ndcg_at_10"])
    assert scores["datasets"]["d"]["sampled_from"] == 150 > scores["datasets"]["d"]["passages"]
    whole, rows = sampled(dataset, tmp_path / "all", Sample(hard=0, random=1000))
    assert rows == list(range(150))
    scores, same = run(tmp_path, model, {"d": whole}, out="whole")
    assert same == queries
    assert scores["datasets"]["d"] == full["datasets"]["d"] | {"sampled_from": 150}


def test_a_sample_is_of_all_test_sets_of_its_corpus_and_answers_are_words_to_look_for(tmp_path):
    texts = [f"filler{i}" for i in range(40)] + ["the capital is paris", "unrelated", "madrid it is"]
    dataset = save_dataset(tmp_path / "ds", texts, ["filler3"], [[41]])
    asked = {"query_id": ["x"], "query": ["qual capitale"], "answers": [["Paris", "Madrid"]]}
    empty = {"positives": [[]], "negatives": [[]], "grades": [None]}
    write_table(tmp_path / "answered.parquet", asked | empty, TEST_QUERIES)
    files = [dataset.queries, tmp_path / "answered.parquet"]
    found, rows = sampled(dataset, tmp_path / "sample", Sample(hard=5, random=0), files)
    assert rows == [3, 40, 41, 42]
    counts = read_counts(found.corpus)
    assert counts == {"passages of the whole corpus": 43, "relevant": 1, "hard": 3, "random": 0}
    assert Path(Layout.digest(found.corpus)).is_file()


def test_a_sample_that_lacks_a_relevant_passage_is_refused(tmp_path):
    model, dataset, *_ = random_dataset(tmp_path)
    preview, rows = sampled(dataset, tmp_path / "some", Sample(hard=0, random=0))
    other = next(row for row in range(150) if row not in rows)
    wrong = save_dataset(tmp_path / "wrong", ["-"], ["a1"], [[other]])
    with pytest.raises(UserError, match=f"names passage {other} as a positive, but .* is a sample without it; delete"):
        run(tmp_path, model, {"d": preview.model_copy(update={"queries": wrong.queries})})
