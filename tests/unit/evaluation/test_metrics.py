import json
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from sentence_transformers import SentenceTransformer
from testsets import ENCODING, INSTRUCTION, planted, random_dataset, run
from tinymodels import save_words

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import ANSWER_METRICS, QUERIES, QUERY_SCORES, RELEVANCE_METRICS, TEST_QUERIES
from tdro.config.commands import EvalDataset
from tdro.config.data import Data
from tdro.config.registry import Source
from tdro.data.prepare_corpus import prepare_corpus
from tdro.data.prepare_queries import prepare_queries
from tdro.evaluation.evaluate import evaluate


def by_hand(ranking, relevant):
    """The three metrics from their definitions; ``ranking`` best first."""
    hits = [passage in relevant for passage in ranking]
    gain = sum(1 / math.log2(rank + 2) for rank, hit in enumerate(hits[:10]) if hit)
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(10, len(relevant))))
    first = next((1 / (rank + 1) for rank, hit in enumerate(hits[:10]) if hit), 0.0)
    return {"ndcg_at_10": gain / ideal, "mrr_at_10": first, "recall_at_100": sum(hits[:100]) / len(relevant)}


def test_metrics_equal_their_definitions(tmp_path):
    model, dataset, passages, asked, positives = random_dataset(tmp_path)
    scores, queries = run(tmp_path, model, {"random": dataset})

    def unit(rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    rankings = np.argsort(-unit(asked) @ unit(passages).T, axis=1).tolist()
    expected = [by_hand(ranking, set(rows)) for ranking, rows in zip(rankings, positives, strict=True)]
    for metric in RELEVANCE_METRICS:
        assert queries[metric] == pytest.approx([e[metric] for e in expected], abs=1e-6)
        assert scores["datasets"]["random"][metric] == pytest.approx(np.mean([e[metric] for e in expected]), abs=1e-6)


def test_graded_metrics_equal_their_definitions(tmp_path):
    rng = np.random.default_rng(5)
    model, dataset, passages, asked, positives = random_dataset(tmp_path)
    grades = [rng.integers(1, 4, len(rows)).tolist() for rows in positives]
    table = read_table(dataset.queries, QUERIES).to_pydict() | {"grades": grades, "answers": [None] * len(grades)}
    write_table(dataset.queries, table, TEST_QUERIES)
    queries = run(tmp_path, model, {"random": dataset})[1]
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (asked, passages)]
    for place, ranking in enumerate(np.argsort(-unit[0] @ unit[1].T, axis=1).tolist()):
        graded = dict(zip(positives[place], grades[place], strict=True))
        gain = sum(graded.get(row, 0) / math.log2(rank + 2) for rank, row in enumerate(ranking[:10]))
        best = sorted(graded.values(), reverse=True)[:10]
        ideal = sum(grade / math.log2(rank + 2) for rank, grade in enumerate(best))
        assert queries["ndcg_at_10"][place] == pytest.approx(gain / ideal, abs=1e-6)
        found = len(set(ranking[:100]) & set(graded)) / len(graded)
        assert queries["recall_at_100"][place] == pytest.approx(found, abs=1e-6)


def mteb_task(passages, queries, relevant):
    """The same test set as a task of mteb, whose own retrieval and metrics are the oracle."""
    import mteb
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval

    class Local(AbsTaskRetrieval):
        metadata = mteb.TaskMetadata(
            name="Local",
            description="Local retrieval task",
            dataset={"path": "local", "revision": "local"},
            type="Retrieval",
            category="t2t",
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
        )

    task = Local()
    data = {
        "corpus": Dataset.from_dict({"id": [f"p{i}" for i in range(len(passages))], "text": passages}),
        "queries": Dataset.from_dict({"id": [f"q{i}" for i in range(len(queries))], "text": queries}),
        "relevant_docs": {
            f"q{i}": {f"p{row}": grade for row, grade in rows.items()} for i, rows in enumerate(relevant)
        },
        "top_ranked": None,
    }
    task.dataset, task.data_loaded = {"default": {"test": data}}, True
    return task


def test_means_equal_those_of_mtebs_own_retrieval(tmp_path, monkeypatch):
    import mteb

    from tdro.data import corpora

    monkeypatch.setattr(corpora, "BLOCK", 37)
    model, dataset, _, _, positives = random_dataset(tmp_path)
    rng = np.random.default_rng(8)
    graded = [
        {row: int(grade) for row, grade in zip(rows, rng.integers(1, 4, len(rows)), strict=True)} for rows in positives
    ]
    grades = {"grades": [list(rows.values()) for rows in graded], "answers": [None] * len(graded)}
    write_table(dataset.queries, read_table(dataset.queries, QUERIES).to_pydict() | grades, TEST_QUERIES)
    figures = run(tmp_path, model, {"random": dataset})[0]["datasets"]["random"]
    prompt = f"Instruct: {INSTRUCTION}\nQuery: "
    encoder = mteb.SentenceTransformerEncoderWrapper(
        SentenceTransformer(str(model), device="cpu"), model_prompts={"query": prompt, "document": ""}
    )
    task = mteb_task([f"p{i}" for i in range(150)], [f"a{i}" for i in range(40)], graded)
    official = mteb.evaluate(encoder, task, cache=None, show_progress_bar=False).task_results[0].scores["test"][0]
    for metric in RELEVANCE_METRICS:
        assert official[metric] == pytest.approx(figures[metric], abs=1e-4)


rankings = st.integers(1, 130).flatmap(
    lambda n: st.tuples(st.permutations(range(n)), st.sets(st.integers(0, n - 1), min_size=1))
)


@settings(max_examples=40)
@given(rankings)
def test_query_metrics_of_any_ranking(case):
    from tdro.evaluation.metrics import relevance_scores

    ranking, relevant = case
    found = relevance_scores(np.array([[*ranking, -1, -1]]), [sorted(relevant)], [[1] * len(relevant)])
    assert {metric: values[0] for metric, values in found.items()} == pytest.approx(by_hand(ranking, relevant))


def test_scores_with_missing_passages_are_those_of_trec_eval_on_the_files_themselves(tmp_path):
    """The oracle reads the qrels as they were written, and the ranking as a run file."""
    import pytrec_eval

    rng = np.random.default_rng(11)
    model = save_words(tmp_path / "model", {f"w{i}": row for i, row in enumerate(rng.normal(size=(40, 8)))})
    official = {f"q{i}": {f"d{row}": int(rng.integers(0, 4)) for row in rng.choice(60, 12)} for i in range(20)}
    official["q20"] = {"d50": 2, "d55": 1}  # the corpus has d0 to d39: this one's passages are all missing
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    for file, letter, number in (("corpus.jsonl", "d", 40), ("queries.jsonl", "q", 21)):
        rows = [{"_id": f"{letter}{i}", "text": f"w{i} w{(7 * i + len(letter)) % 40}"} for i in range(number)]
        (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [f"{query}\t{p}\t{grade}\n" for query, grades in official.items() for p, grade in grades.items()]
    (folder / "qrels/test.tsv").write_text("".join(lines))
    corpus, queries, out = tmp_path / "c.parquet", tmp_path / "q.parquet", tmp_path / "out"
    source = Source(reader="beir", path=str(folder))
    prepare_corpus("b", source, None, Data(), corpus)
    prepare_queries("b", source, None, None, Data(), corpus, queries)
    dataset = EvalDataset(corpus=str(corpus), queries=str(queries), instruction=INSTRUCTION)
    evaluate(model, {"b": {"b": dataset}}, ENCODING, out, runs=True)
    run_of: dict[str, dict[str, float]] = {}
    for query, _, passage, rank, *_ in map(str.split, (out / "b.runs/b.trec").read_text().splitlines()):
        run_of.setdefault(query, {})[passage] = -float(rank)
    measured = pytrec_eval.RelevanceEvaluator(official, {"ndcg_cut.10", "recall.100"}).evaluate(run_of)
    found = read_table(out / "b.queries.parquet", QUERY_SCORES).to_pydict()
    assert found["query_id"] == list(official)
    for metric, name in (("ndcg_at_10", "ndcg_cut_10"), ("recall_at_100", "recall_100")):
        assert found[metric] == pytest.approx([measured[query][name] for query in official], abs=1e-9)
    assert found["ndcg_at_10"][-1] == 0 and 0 < np.mean(found["ndcg_at_10"]) < 1


def test_a_ranking_that_found_nothing_scores_zero():
    from tdro.evaluation.metrics import relevance_scores

    found = relevance_scores(np.array([[-1, -1], [3, -1]]), [[3], [3]], [[1], [1, 1]])
    assert found["recall_at_100"] == [0.0, 0.5] and found["mrr_at_10"] == [0.0, 1.0]


def test_answers_decide_where_a_test_set_has_them(tmp_path):
    model, dataset = planted(tmp_path)
    # The passage of rank 1 is t{i}; of equal scores the others follow by row, so t29 stands at rank 30.
    answers = [["T3"], ["t29"], ["nowhere"]]
    table = {"query_id": ["a", "b", "c"], "query": ["t3", "t5", "t7"], "positives": [[]] * 3, "negatives": [[]] * 3}
    write_table(dataset.queries, table | {"grades": [None] * 3, "answers": answers}, TEST_QUERIES)
    scores, queries = run(tmp_path, model, {"mkqa": dataset})
    assert [queries[metric] for metric in ANSWER_METRICS] == [[1, 1, 0], [1, 0, 0], [1, 0, 0]]
    assert scores["datasets"]["mkqa"] == {
        "acc_at_100": pytest.approx(2 / 3),
        "acc_at_20": pytest.approx(1 / 3),
        "acc_at_10": pytest.approx(1 / 3),
        "queries": 3,
        "passages": 30,
    }
    assert set(queries["ndcg_at_10"]) == {None}
