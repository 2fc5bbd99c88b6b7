import itertools
import json
import logging
import math
import socket
import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split, WhitespaceSplit

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import ANSWER_METRICS, CORPUS, QUERIES, QUERY_SCORES, RELEVANCE_METRICS, TEST_QUERIES
from tdro.config import sections
from tdro.config.commands import EvalDataset, EvaluateJob, Miner
from tdro.config.data import Data
from tdro.config.models import Encoding, Model
from tdro.config.prompts import INSTRUCT
from tdro.config.registry import Source
from tdro.data.corpora import own_passages
from tdro.data.prepare_corpus import prepare_corpus
from tdro.data.prepare_queries import prepare_queries
from tdro.errors import UserError
from tdro.evaluation.evaluate import evaluate, without_themselves
from tdro.models import precision
from tdro.retrieval.encoder import Encoder

ENCODING = Encoding(precision="fp32")
INSTRUCTION = "Find the passage"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("evaluation opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def save_words(folder, vectors):
    """A retriever whose text embedding is the mean of its words' vectors; unknown words are zero."""
    words = {"[UNK]": 0, **{word: i + 1 for i, word in enumerate(vectors)}}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    size = len(next(iter(vectors.values())))
    weights = np.vstack([np.zeros(size), *vectors.values()]).astype(np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu").save(str(folder))
    return folder


def save_letters(folder, texts):
    """A retriever that reads letter by letter, so that its tokens spell the text it was given."""
    letters = {letter: i for i, letter in enumerate(sorted(set("".join(texts)) | {"\0"}))}
    tokenizer = Tokenizer(WordLevel(letters, unk_token="\0"))
    tokenizer.pre_tokenizer = Split(Regex(r"[\s\S]"), "isolated")
    weights = np.random.default_rng(0).normal(size=(len(letters), 8)).astype(np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu").save(str(folder))
    return folder


def save_dataset(folder, passages, queries, positives, passage_ids=None, query_ids=None, titles=None):
    corpus = {
        "passage_id": passage_ids or [f"d{i}" for i in range(len(passages))],
        "title": titles or [""] * len(passages),
        "text": passages,
    }
    write_table(folder / "corpus.parquet", corpus, CORPUS)
    asked = {
        "query_id": query_ids or [f"q{i}" for i in range(len(queries))],
        "query": queries,
        "positives": positives,
        "negatives": [[] for _ in queries],
    }
    write_table(folder / "queries.parquet", asked, QUERIES)
    paths = {"corpus": str(folder / "corpus.parquet"), "queries": str(folder / "queries.parquet")}
    return EvalDataset(**paths, instruction=INSTRUCTION)


def run(tmp_path, model, datasets, encoding=ENCODING, out="out"):
    evaluate(model, {"b": datasets}, encoding, tmp_path / out)
    return scores_of(tmp_path / out), read_table(tmp_path / out / "b.queries.parquet", QUERY_SCORES).to_pydict()


def scores_of(folder, benchmark="b"):
    return json.loads((folder / f"{benchmark}.json").read_text())


def one_hot(count):
    return {f"t{i}": row for i, row in enumerate(np.eye(count))}


def planted(tmp_path, count=30):
    """Query i and passage i share a word of their own: a perfect retriever and its dataset."""
    texts = [f"t{i}" for i in range(count)]
    model = save_words(tmp_path / "model", one_hot(count))
    return model, save_dataset(tmp_path / "planted", texts, texts[:20], [[i] for i in range(20)])


def test_a_perfect_retriever_scores_one(tmp_path):
    model, dataset = planted(tmp_path)
    scores, queries = run(tmp_path, model, {"planted": dataset})
    perfect = dict.fromkeys(RELEVANCE_METRICS, 1.0)
    assert scores == {
        "benchmark": "b",
        "datasets": {"planted": {**perfect, "queries": 20, "passages": 30}},
    }
    assert {queries[metric][0] for metric in ANSWER_METRICS} == {None}
    assert queries["dataset"] == ["planted"] * 20
    assert queries["query_id"] == [f"q{i}" for i in range(20)]


def test_a_random_retriever_scores_about_chance(tmp_path):
    rng = np.random.default_rng(7)
    passages, asked = 400, 400
    words = {f"p{i}": rng.normal(size=32) for i in range(passages)} | {
        f"a{i}": rng.normal(size=32) for i in range(asked)
    }
    model = save_words(tmp_path / "model", words)
    dataset = save_dataset(
        tmp_path / "ds",
        [f"p{i}" for i in range(passages)],
        [f"a{i}" for i in range(asked)],
        [[i] for i in range(asked)],
    )
    figures = run(tmp_path, model, {"random": dataset})[0]["datasets"]["random"]
    chance = {
        "ndcg_at_10": sum(1 / math.log2(rank + 1) for rank in range(1, 11)) / passages,
        "mrr_at_10": sum(1 / rank for rank in range(1, 11)) / passages,
        "recall_at_100": 100 / passages,
    }
    # Four standard errors of the mean over 400 queries.
    assert figures["ndcg_at_10"] == pytest.approx(chance["ndcg_at_10"], abs=0.016)
    assert figures["mrr_at_10"] == pytest.approx(chance["mrr_at_10"], abs=0.016)
    assert figures["recall_at_100"] == pytest.approx(chance["recall_at_100"], abs=0.09)


def by_hand(ranking, relevant):
    """The three metrics from their definitions; ``ranking`` best first."""
    hits = [passage in relevant for passage in ranking]
    gain = sum(1 / math.log2(rank + 2) for rank, hit in enumerate(hits[:10]) if hit)
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(10, len(relevant))))
    first = next((1 / (rank + 1) for rank, hit in enumerate(hits[:10]) if hit), 0.0)
    return {"ndcg_at_10": gain / ideal, "mrr_at_10": first, "recall_at_100": sum(hits[:100]) / len(relevant)}


def random_dataset(tmp_path, seed=3):
    """150 passages, 40 queries with 1 to 15 positives each, near enough to their query to be found sometimes."""
    rng = np.random.default_rng(seed)
    passages = rng.normal(size=(150, 16))
    positives = [sorted(rng.choice(150, size=rng.integers(1, 16), replace=False).tolist()) for _ in range(40)]
    asked = np.array([passages[rows].mean(axis=0) * 0.5 + rng.normal(size=16) for rows in positives])
    model = save_words(
        tmp_path / "model",
        {f"p{i}": v for i, v in enumerate(passages)} | {f"a{i}": v for i, v in enumerate(asked)},
    )
    texts = [f"p{i}" for i in range(150)], [f"a{i}" for i in range(40)]
    return model, save_dataset(tmp_path / "ds", *texts, positives), passages, asked, positives


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


def test_several_datasets_stand_in_one_file_and_equal_scores_rank_by_row(tmp_path):
    model, dataset = planted(tmp_path)
    # All passages but t0 score 0: of equal scores the first row comes first.
    second = save_dataset(tmp_path / "second", [f"t{i}" for i in range(30)], ["t0"], [[1]])
    scores, queries = run(tmp_path, model, {"planted": dataset, "second": second})
    assert scores["datasets"]["second"]["mrr_at_10"] == 0.5
    assert queries["dataset"] == ["planted"] * 20 + ["second"]


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_model_reads_exactly_the_texts_of_training_or_its_own(tmp_path, monkeypatch, symmetric, trained):
    prompt, before = ("Instruct: Find the passage\nQuery: ", "") if trained else ("saved: ", "passage: ")
    passages = [f"  Title {i} body of\npassage {i}" for i in range(3)]
    asked = ["what is  0? ", " und 1"]
    model = save_letters(tmp_path / "model", [*passages, *asked, prompt, "passage: "])
    SentenceTransformer(str(model), device="cpu", prompts={"query": "saved: ", "document": "passage: "}).save(
        str(model)
    )
    if trained:
        settings = {"model": {"prompts": {"query": INSTRUCT, "passage": ""}}}
        (model / "training_settings.json").write_text(json.dumps(settings))
    dataset = save_dataset(
        tmp_path / "ds", ["body of\npassage 0 ", "passage without title", " two"], asked, [[0], [1]],
        titles=["Title 0", "", " Title 2"],
    )  # fmt: skip
    read = spy(monkeypatch)
    run(tmp_path, model, {"letters": dataset.model_copy(update={"symmetric": symmetric})})
    before = prompt if symmetric else before
    expected = ["Title 0 body of\npassage 0", "passage without title", "Title 2  two"]
    assert sorted(read) == sorted([before + text for text in expected] + [prompt + text for text in asked])


def spy(monkeypatch):
    """Texts that StaticEmbedding's forward pass was given, spelt from its token ids."""
    read, forward = [], StaticEmbedding.forward

    def recording(self, features, **kwargs):
        bounds = [*features["offsets"].tolist(), len(features["input_ids"])]
        for start, end in itertools.pairwise(bounds):
            read.append("".join(map(self.tokenizer.id_to_token, features["input_ids"][start:end].tolist())))
        return forward(self, features, **kwargs)

    monkeypatch.setattr(StaticEmbedding, "forward", recording)
    return read


def test_bf16_is_for_the_forward_pass_only(tmp_path, monkeypatch):
    from tdro.retrieval.indices import BlockIndex

    seen, forward, search = {}, StaticEmbedding.forward, BlockIndex.search
    monkeypatch.setattr(precision, "supports_bf16", lambda device_type: True)

    def record(name, function):
        def wrapped(*args, **kwargs):
            seen[name] = torch.is_autocast_enabled("cpu")
            return function(*args, **kwargs)

        return wrapped

    monkeypatch.setattr(StaticEmbedding, "forward", record("forward", forward))
    monkeypatch.setattr(BlockIndex, "search", record("search", search))
    model, dataset = planted(tmp_path)
    run(tmp_path, model, {"planted": dataset}, Encoding(precision="bf16"))
    assert seen == {"forward": True, "search": False}


def test_a_query_that_is_itself_a_passage_does_not_find_itself(tmp_path):
    model = save_words(tmp_path / "model", {"a": np.array([1.0, 0.0]), "b": np.array([0.8, 0.6])})
    dataset = save_dataset(tmp_path / "ds", ["a", "b"], ["a"], [[1]], ["x", "y"], ["x"], ["some title", ""])
    assert run(tmp_path, model, {"self": dataset})[0]["datasets"]["self"]["mrr_at_10"] == 1.0


SELVES = {
    "the text under a title": ("a b", "t", "a b", None, True),
    "title and text": ("t a b", "t", "a b", None, True),
    "another form and other white space": ("e\u0301  a\n", "", "é a", None, True),
    "cut": ("a b c d", "t", "a b", 2, True),
    "title and cut text": ("t a b c", "t", "a b", 2, True),
    "a title only": ("t", "t", "", None, True),
    "contained": ("a", "", "a b", None, False),
    "the title of another text": ("t", "t", "a b", None, False),
    "a beginning": ("a b", "", "a", None, False),
    "a shorter beginning than what is cut": ("a b c d", "", "a", 2, False),
    "other words": ("a", "", "b", None, False),
}


@pytest.mark.parametrize(("query", "title", "text", "max_words", "is_it"), SELVES.values(), ids=SELVES)
def test_only_a_passage_that_is_the_query_leaves_its_ranking(tmp_path, query, title, text, max_words, is_it):
    dataset = save_dataset(tmp_path, ["other", text], [query], [[0]], ["x", "y"], ["y"], ["", title])
    assert own_passages(Path(dataset.corpus), ["y"], [query], max_words) == ({0: 1} if is_it else {})


def test_a_relevant_passage_stays_in_the_ranking_whatever_its_identifier(tmp_path):
    """Terms and what explains them, with one numbering; and a passage that is the query and its own answer."""
    vectors = one_hot(3) | {"zinc": np.array([1.0, 0, 0]), "bluish": np.array([0.5, 0, 0])}
    model = save_words(tmp_path / "model", vectors)
    ids = ["1", "2", "3"]
    dataset = save_dataset(tmp_path / "ds", ["zinc bluish", "t1", "t2"], ["zinc", "t1"], [[0], [1]], ids, ids[:2])
    scores, _ = run(tmp_path, model, {"ids": dataset})
    assert scores["datasets"]["ids"]["ndcg_at_10"] == 1.0


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


def test_a_grade_that_is_missing_is_refused(tmp_path):
    model, dataset = planted(tmp_path)
    columns = read_table(dataset.queries, QUERIES).to_pydict() | {"grades": [[]] + [[1]] * 19, "answers": [None] * 20}
    columns["positives"][1] = [1, 2]
    write_table(dataset.queries, columns, TEST_QUERIES)
    assert "fewer grades than positives" in refused(tmp_path, model, dataset)


def test_a_ranking_that_found_nothing_scores_zero():
    from tdro.evaluation.metrics import relevance_scores

    found = relevance_scores(np.array([[-1, -1], [3, -1]]), [[3], [3]], [[1], [1, 1]])
    assert found["recall_at_100"] == [0.0, 0.5] and found["mrr_at_10"] == [0.0, 1.0]


def test_ids_shared_by_chance_hide_no_passage(tmp_path):
    texts = [f"t{i}" for i in range(20)]
    model = save_words(tmp_path / "model", one_hot(20))
    ids = [str(i) for i in range(20)]
    shifted = [str((i + 1) % 20) for i in range(20)]
    dataset = save_dataset(tmp_path / "ds", texts, texts, [[i] for i in range(20)], ids, shifted)
    scores, queries = run(tmp_path, model, {"ids": dataset})
    assert scores["datasets"]["ids"]["ndcg_at_10"] == 1.0
    assert queries["query_id"] == shifted


def test_queries_without_positives_are_left_out(tmp_path):
    model = save_words(tmp_path / "model", one_hot(3))
    dataset = save_dataset(tmp_path / "ds", ["t0", "t1", "t2"], ["t2", "t0", "t1"], [[2], [], [1]])
    scores, queries = run(tmp_path, model, {"some": dataset})
    assert scores["datasets"]["some"] == {**dict.fromkeys(RELEVANCE_METRICS, 1.0), "queries": 2, "passages": 3}
    assert queries["query_id"] == ["q0", "q2"]


def test_the_same_run_writes_the_same_bytes_and_nothing_else(tmp_path):
    model, dataset, *_ = random_dataset(tmp_path)
    for out in "first", "second":
        run(tmp_path, model, {"random": dataset}, out=out)
    assert sorted(p.name for p in (tmp_path / "first").iterdir()) == ["b.json", "b.queries.parquet"]
    for name in "b.json", "b.queries.parquet":
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_one_log_line_a_dataset(tmp_path, caplog):
    model, dataset = planted(tmp_path)
    with caplog.at_level(logging.INFO, logger="tdro"):
        run(tmp_path, model, {"one": dataset, "two": dataset})
    lines = [record.getMessage() for record in caplog.records if record.name == "tdro.evaluation.evaluate"]
    assert [line.split(":")[0] for line in lines] == ["b/one", "b/two"]
    assert "ndcg_at_10 1.0000, mrr_at_10 1.0000, recall_at_100 1.0000; 20 queries, 30 passages" in lines[0]


def refused(tmp_path, model, dataset):
    with pytest.raises(UserError) as caught:
        run(tmp_path, model, {"d": dataset})
    assert not (tmp_path / "out").exists()
    return str(caught.value)


def test_folders_that_hold_no_retriever_are_named(tmp_path):
    _, dataset = planted(tmp_path)
    assert str(tmp_path / "nowhere") in refused(tmp_path, tmp_path / "nowhere", dataset)
    (tmp_path / "empty").mkdir()
    assert "modules.json" in refused(tmp_path, tmp_path / "empty", dataset)
    (tmp_path / "empty" / "modules.json").write_text("[{")
    assert f"{tmp_path / 'empty' / 'modules.json'} cannot be read" in refused(tmp_path, tmp_path / "empty", dataset)


def test_a_retriever_with_half_its_weights_is_named(tmp_path):
    model, dataset = planted(tmp_path)
    (weights,) = model.rglob("model.safetensors")
    weights.write_bytes(weights.read_bytes()[:200])
    assert f"{weights} cannot be read" in refused(tmp_path, model, dataset)


@pytest.mark.parametrize(
    ("passages", "queries", "positives", "file", "reason"),
    [
        ([], ["t0"], [[0]], "corpus.parquet", "no passage"),
        (["t0"], [], [], "queries.parquet", "no query with a positive"),
        (["t0"], ["t0"], [[]], "queries.parquet", "no query with a positive"),
        (["t0"], ["t0"], [[1]], "queries.parquet", "names passage 1"),
        (["t0"], ["t0"], [[-1]], "queries.parquet", "names passage -1"),
    ],
)
def test_datasets_that_cannot_be_scored_are_named(tmp_path, passages, queries, positives, file, reason):
    model = save_words(tmp_path / "model", one_hot(2))
    message = refused(tmp_path, model, save_dataset(tmp_path / "ds", passages, queries, positives))
    assert str(tmp_path / "ds" / file) in message
    assert reason in message


def test_a_diverged_retriever_is_refused(tmp_path):
    model = save_words(tmp_path / "model", {"t0": np.array([math.nan, 1.0])})
    assert "not finite" in refused(tmp_path, model, save_dataset(tmp_path / "ds", ["t0"], ["t0"], [[0]]))


def test_a_suite_is_read_from_yaml():
    text = "benchmarks: {beir: {scifact: {corpus: c.parquet, queries: q.parquet, instruction: Find it}}}"
    suite = sections.settings(EvaluateJob, text)
    assert suite.benchmarks["beir"]["scifact"] == EvalDataset(
        corpus="c.parquet", queries="q.parquet", instruction=["Find it"], symmetric=False
    )
    with pytest.raises(UserError, match=r"benchmarks\.beir\.scifact\.qrels"):
        sections.settings(EvaluateJob, text.replace("instruction", "qrels: x, instruction"))


def test_the_passage_that_a_query_is_leaves_its_ranking():
    rows, scores = np.array([[5, 7, 9], [5, 7, 9], [5, 7, 9]]), np.tile(np.array([3.0, 2.0, 1.0]), (3, 1))
    found, kept = without_themselves(rows, scores, {0: 7, 1: 9, 2: 4})
    assert found.tolist() == [[5, 9], [5, 7], [5, 7]]
    assert kept.tolist() == [[3, 1], [3, 2], [3, 2]]


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


def test_run_files_hold_the_ranking_and_score_the_same(tmp_path):
    import pytrec_eval

    model, dataset, _, _, positives = random_dataset(tmp_path)
    out = tmp_path / "out"
    evaluate(model, {"b": {"random": dataset}}, ENCODING, out, runs=True)
    lines = [line.split() for line in (out / "b.runs" / "random.trec").read_text().splitlines()]
    assert {(len(line), line[1], line[5]) for line in lines} == {(6, "Q0", "tdro")}
    run_of, ranks = {}, {}
    for query, _, passage, rank, score, _ in lines:
        run_of.setdefault(query, {})[passage] = float(score)
        ranks.setdefault(query, []).append(int(rank))
    assert all(found == list(range(1, 101)) for found in ranks.values())
    qrels = {f"q{i}": {f"d{row}": 1 for row in rows} for i, rows in enumerate(positives)}
    official = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run_of)
    ours = read_table(out / "b.queries.parquet", QUERY_SCORES)
    for query, value in zip(ours["query_id"].to_pylist(), ours["ndcg_at_10"].to_pylist(), strict=True):
        assert value == pytest.approx(official[query]["ndcg_cut_10"], abs=1e-6)


def test_blocks_do_not_change_a_ranking(tmp_path, monkeypatch):
    from tdro.data import corpora

    model, dataset, *_ = random_dataset(tmp_path)
    whole = run(tmp_path, model, {"random": dataset})
    monkeypatch.setattr(corpora, "BLOCK", 7)
    assert run(tmp_path, model, {"random": dataset}, out="blocks") == whole


def encoded(tmp_path, model, dataset, name="embeddings"):
    """Embeddings of the dataset's corpus, as the rule makes them."""
    from tdro.evaluation.encode_corpus import encode_corpus

    encode_corpus(model, ENCODING, Path(dataset.corpus), tmp_path / name, tmp_path / "checkpoints")
    return tmp_path / name


def test_embeddings_made_once_give_the_same_scores(tmp_path, monkeypatch):
    from tdro.evaluation import encode_corpus
    from tdro.retrieval import shards

    monkeypatch.setattr(encode_corpus, "SHARD", 40)
    monkeypatch.setattr(shards, "BLOCK_BYTES", 64 * 4 * 16)
    model, dataset, *_ = random_dataset(tmp_path)
    expected = run(tmp_path, model, {"random": dataset})
    folder = encoded(tmp_path, model, dataset)
    assert len(list(folder.glob("*.npy"))) == 4
    monkeypatch.setattr(Encoder, "passages", None)  # nothing is encoded again
    stored = dataset.model_copy(update={"embeddings": str(folder)})
    evaluate(model, {"b": {"random": stored}}, ENCODING, tmp_path / "stored")
    found = scores_of(tmp_path / "stored")["datasets"]["random"]
    assert found == pytest.approx(expected[0]["datasets"]["random"], abs=1e-4)


def several(tmp_path, runs=False):
    """Three benchmarks of one retriever: one of two test sets, one by stored embeddings, and another."""
    model, planted_one = planted(tmp_path)
    texts = [f"t{i}" for i in range(12)]
    second = save_dataset(tmp_path / "second", texts, texts[::-1], [[i] for i in range(12)])
    stored = planted_one.model_copy(update={"embeddings": str(encoded(tmp_path, model, planted_one))})
    return model, {"both": {"x": planted_one, "y": second}, "stored": {"s": stored}, "wrong": {"w": second}}


def test_benchmarks_together_give_the_files_of_each_alone_from_one_load_of_the_retriever(tmp_path, monkeypatch):
    from tdro.evaluation import evaluate as module

    model, benchmarks = several(tmp_path)
    for name, datasets in benchmarks.items():
        evaluate(model, {name: datasets}, ENCODING, tmp_path / "alone", runs=True)
    opened, open_retriever = [], module.open_retriever
    monkeypatch.setattr(module, "open_retriever", lambda *a: opened.append(1) or open_retriever(*a))
    evaluate(model, benchmarks, ENCODING, tmp_path / "together", runs=True)
    files = sorted(path.relative_to(tmp_path / "alone") for path in (tmp_path / "alone").rglob("*") if path.is_file())
    assert len(files) == 3 + 3 + 4
    for file in files:
        assert (tmp_path / "together" / file).read_bytes() == (tmp_path / "alone" / file).read_bytes()
    assert len(opened) == 1


def test_a_benchmark_that_cannot_be_read_is_told_before_the_retriever_is_loaded(tmp_path):
    _, benchmarks = several(tmp_path)
    (tmp_path / "second/queries.parquet").unlink()
    with pytest.raises(UserError) as error:
        evaluate(tmp_path / "no-model", benchmarks, ENCODING, tmp_path / "out")
    lines = str(error.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["benchmark both", "benchmark wrong"]
    assert not (tmp_path / "out").exists()


def test_a_benchmark_that_fails_does_not_lose_the_others(tmp_path, caplog):
    model, benchmarks = several(tmp_path)
    bad = benchmarks["stored"]["s"].model_copy(update={"embeddings": str(tmp_path / "nowhere")})
    with pytest.raises(UserError, match=r"^benchmark stored: .*nowhere"):
        evaluate(model, benchmarks | {"stored": {"s": bad}}, ENCODING, tmp_path / "out")
    assert "evaluated all the same: both, wrong" in caplog.messages
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "both.json",
        "both.queries.parquet",
        "wrong.json",
        "wrong.queries.parquet",
    ]


def test_a_killed_encoding_goes_on_with_the_missing_shards(tmp_path, monkeypatch):
    from tdro.evaluation import encode_corpus

    monkeypatch.setattr(encode_corpus, "SHARD", 40)
    model, dataset, *_ = random_dataset(tmp_path)
    whole = encoded(tmp_path, model, dataset, "whole")
    encode, read = Encoder.passages, []

    def counted(self, texts):
        if len(read) == 2:
            raise KeyboardInterrupt
        read.append(len(texts))
        return encode(self, texts)

    monkeypatch.setattr(Encoder, "passages", counted)
    with pytest.raises(KeyboardInterrupt):
        encoded(tmp_path, model, dataset)
    assert not (tmp_path / "embeddings").exists()
    read.clear()
    folder = encoded(tmp_path, model, dataset)
    assert read == [40, 30]
    for shard in whole.glob("*.npy"):
        assert (folder / shard.name).read_bytes() == shard.read_bytes()


def test_embeddings_of_another_corpus_are_refused(tmp_path):
    model, dataset = planted(tmp_path)
    folder = encoded(tmp_path, model, save_dataset(tmp_path / "other", ["t0", "t1"], ["t0"], [[0]]))
    dataset = dataset.model_copy(update={"embeddings": str(folder)})
    with pytest.raises(UserError, match="2 embeddings for the 30 passages"):
        evaluate(model, {"b": {"d": dataset}}, ENCODING, tmp_path / "out")


def test_two_processes_make_the_shards_of_one(tmp_path):
    from tdro.evaluation.encode_corpus import SHARD

    count = 2 * SHARD + 10
    model = save_words(tmp_path / "model", one_hot(9))
    dataset = save_dataset(tmp_path / "ds", [f"t{i % 9}" for i in range(count)], ["t0"], [[0]])
    alone = encoded(tmp_path, model, dataset)
    command = [str(Path(sys.executable).with_name("accelerate")), "launch", "--num_processes", "2", "--config_file"]
    command += [str(Path(__file__).parents[3] / "config/accelerate/ddp.yaml"), "-m", "tdro", "encode-corpus"]
    command += ["--model", str(model), "--corpus", dataset.corpus, "--output", str(tmp_path / "two")]
    command += ["--checkpoints", str(tmp_path / "work"), "--settings", "encoding: {precision: fp32}"]
    subprocess.run(command, check=True, capture_output=True)
    assert sorted(path.name for path in (tmp_path / "two").glob("*.npy")) == ["00000.npy", "00001.npy", "00002.npy"]
    for shard in alone.glob("*.npy"):
        assert (tmp_path / "two" / shard.name).read_bytes() == shard.read_bytes()


def test_untrained_retrievers_rank_too(tmp_path, tiny_base):
    model, dataset = planted(tmp_path)
    found = {}
    for name, retriever in (
        ("bm25", "bm25"),
        ("miner", Miner(model=str(model))),
        ("base", Model(name="tiny", base=str(tiny_base))),
    ):
        evaluate(retriever, {"b": {"d": dataset}}, ENCODING, tmp_path / "out")
        found[name] = scores_of(tmp_path / "out")["datasets"]["d"]["ndcg_at_10"]
    assert found["bm25"] == found["miner"] == 1.0
    assert 0 <= found["base"] < 1


def test_bm25_loads_no_torch(tmp_path):
    _, dataset = planted(tmp_path)
    settings = EvaluateJob(benchmarks={"b": {"d": dataset}}, retriever="bm25").model_dump_json()
    script = "import sys; from tdro.cli.main import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    command = [sys.executable, "-c", script, "evaluate", "--output", str(tmp_path / "out"), "--settings", settings]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
    assert scores_of(tmp_path / "out")["datasets"]["d"]["ndcg_at_10"] == 1.0


def test_the_miner_reads_its_own_prompts_and_no_instruction(tmp_path, monkeypatch):
    model = save_letters(tmp_path / "model", ["abc q: p: "])
    dataset = save_dataset(tmp_path / "ds", ["a", "b"], ["c"], [[0]])
    read = spy(monkeypatch)
    miner = Miner(model=str(model), prompts={"query": "q: ", "passage": "p: "})
    evaluate(miner, {"b": {"d": dataset}}, ENCODING, tmp_path / "out")
    assert sorted(read) == ["p: a", "p: b", "q: c"]
