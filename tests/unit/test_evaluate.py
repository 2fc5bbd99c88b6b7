import itertools
import json
import logging
import math
import socket

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

from tdro import config, precision, sections
from tdro.artifacts import CORPUS, METRICS, QUERIES, QUERY_SCORES, read_table, write_table
from tdro.errors import UserError
from tdro.evaluate import evaluate
from tdro.jobs import EvalDataset, EvaluateJob

ENCODING = config.Encoding(precision="fp32")
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
    return EvalDataset(folder=str(folder), language="en", instruction=INSTRUCTION)


def run(tmp_path, model, datasets, encoding=ENCODING, out="out"):
    scores, query_scores = tmp_path / out / "b.json", tmp_path / out / "b.queries.parquet"
    evaluate(model, "b", datasets, encoding, scores, query_scores)
    return json.loads(scores.read_text()), read_table(query_scores, QUERY_SCORES).to_pydict()


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
    perfect = dict.fromkeys(METRICS, 1.0)
    assert scores == {
        "benchmark": "b",
        "datasets": {"planted": {**perfect, "queries": 20, "passages": 30}},
        "mean": perfect,
    }
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
    figures = run(tmp_path, model, {"random": dataset})[0]["mean"]
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
    for metric in METRICS:
        assert queries[metric] == pytest.approx([e[metric] for e in expected], abs=1e-6)
        assert scores["datasets"]["random"][metric] == pytest.approx(np.mean([e[metric] for e in expected]), abs=1e-6)


def test_means_equal_the_scores_of_mteb(tmp_path):
    import mteb

    from tdro.localtask import LocalRetrieval, PromptedEncoder

    model, dataset, *_ = random_dataset(tmp_path)
    figures = run(tmp_path, model, {"random": dataset})[0]["datasets"]["random"]
    folder = tmp_path / "ds"
    tables = read_table(folder / "corpus.parquet", CORPUS), read_table(folder / "queries.parquet", QUERIES)
    encoder = PromptedEncoder(SentenceTransformer(str(model), device="cpu"), INSTRUCTION, False, "fp32")
    result = mteb.evaluate(encoder, LocalRetrieval("random", "en", *tables), cache=None, show_progress_bar=False)
    official = result.task_results[0].scores["test"][0]
    assert official["main_score"] == pytest.approx(figures["ndcg_at_10"], abs=1e-5)
    assert official["mrr_at_10"] == pytest.approx(figures["mrr_at_10"], abs=1e-5)
    assert official["recall_at_100"] == pytest.approx(figures["recall_at_100"], abs=1e-5)


rankings = st.integers(1, 130).flatmap(
    lambda n: st.tuples(st.permutations(range(n)), st.sets(st.integers(0, n - 1), min_size=1))
)


@settings(max_examples=40, deadline=None)
@given(rankings)
def test_query_metrics_of_any_ranking(case):
    from tdro.localtask import query_metrics

    ranking, relevant = case
    results = {"q": {f"p{passage}": float(-rank) for rank, passage in enumerate(ranking)}}
    found = query_metrics({"q": {f"p{passage}": 1 for passage in relevant}}, results)
    assert found["q"] == pytest.approx(by_hand(ranking, relevant))


def test_the_mean_counts_datasets_equally(tmp_path):
    model, dataset = planted(tmp_path)
    # All passages but t0 score 0: equal scores rank by descending row, which puts the last one second.
    half = save_dataset(tmp_path / "half", [f"t{i}" for i in range(30)], ["t0"], [[29]])
    scores, queries = run(tmp_path, model, {"planted": dataset, "half": half})
    assert scores["datasets"]["half"]["mrr_at_10"] == 0.5
    assert scores["mean"]["mrr_at_10"] == 0.75
    assert queries["dataset"] == ["planted"] * 20 + ["half"]


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_model_reads_exactly_the_texts_of_training(tmp_path, monkeypatch, symmetric):
    prompt = "Instruct: Find the passage\nQuery: "
    passages = [f"  Title {i} body of\npassage {i}" for i in range(3)]
    asked = ["what is  0? ", " und 1"]
    model = save_letters(tmp_path / "model", [*passages, *asked, prompt])
    SentenceTransformer(str(model), device="cpu", prompts={"query": "saved: ", "document": "saved: "}).save(str(model))
    dataset = save_dataset(
        tmp_path / "ds", ["body of\npassage 0 ", "passage without title", " two"], asked, [[0], [1]],
        titles=["Title 0", "", " Title 2"],
    )  # fmt: skip
    read = spy(monkeypatch)
    run(tmp_path, model, {"letters": dataset.model_copy(update={"symmetric": symmetric})})
    before = prompt if symmetric else ""
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
    from tdro.localtask import PromptedEncoder

    seen, forward, similarity = {}, StaticEmbedding.forward, PromptedEncoder.similarity
    monkeypatch.setattr(precision, "supports_bf16", lambda device_type: True)

    def record(name, function):
        def wrapped(*args, **kwargs):
            seen[name] = torch.is_autocast_enabled("cpu")
            return function(*args, **kwargs)

        return wrapped

    monkeypatch.setattr(StaticEmbedding, "forward", record("forward", forward))
    monkeypatch.setattr(PromptedEncoder, "similarity", record("similarity", similarity))
    model, dataset = planted(tmp_path)
    run(tmp_path, model, {"planted": dataset}, config.Encoding(precision="bf16"))
    assert seen == {"forward": True, "similarity": False}


def test_a_query_that_is_itself_a_passage_does_not_find_itself(tmp_path):
    model = save_words(tmp_path / "model", {"a": np.array([1.0, 0.0]), "b": np.array([0.8, 0.6])})
    dataset = save_dataset(tmp_path / "ds", ["a", "b"], ["a"], [[1]], ["x", "y"], ["x"], ["some title", ""])
    assert run(tmp_path, model, {"self": dataset})[0]["mean"]["mrr_at_10"] == 1.0


def test_ids_shared_by_chance_hide_no_passage(tmp_path):
    texts = [f"t{i}" for i in range(20)]
    model = save_words(tmp_path / "model", one_hot(20))
    ids = [str(i) for i in range(20)]
    shifted = [str((i + 1) % 20) for i in range(20)]
    dataset = save_dataset(tmp_path / "ds", texts, texts, [[i] for i in range(20)], ids, shifted)
    scores, queries = run(tmp_path, model, {"ids": dataset})
    assert scores["mean"]["ndcg_at_10"] == 1.0
    assert queries["query_id"] == shifted


def test_queries_without_positives_are_left_out(tmp_path):
    model = save_words(tmp_path / "model", one_hot(3))
    dataset = save_dataset(tmp_path / "ds", ["t0", "t1", "t2"], ["t2", "t0", "t1"], [[2], [], [1]])
    scores, queries = run(tmp_path, model, {"some": dataset})
    assert scores["datasets"]["some"] == {**dict.fromkeys(METRICS, 1.0), "queries": 2, "passages": 3}
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
        run(tmp_path, model, {"one": dataset, "two": dataset.model_copy(update={"language": "xx,multilingual"})})
    lines = [record.getMessage() for record in caplog.records if record.name == "tdro.evaluate"]
    assert [line.split(":")[0] for line in lines] == ["b/one", "b/two"]
    assert "nDCG@10 1.0000, MRR@10 1.0000, recall@100 1.0000; 20 queries, 30 passages" in lines[0]


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
    assert f"{tmp_path / 'empty'} cannot be loaded" in refused(tmp_path, tmp_path / "empty", dataset)


def test_a_retriever_with_half_its_weights_is_named(tmp_path):
    model, dataset = planted(tmp_path)
    (weights,) = model.rglob("model.safetensors")
    weights.write_bytes(weights.read_bytes()[:200])
    assert f"{model} cannot be loaded" in refused(tmp_path, model, dataset)


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
    text = "datasets: {scifact: {folder: results/benchmarks/scifact, language: en, instruction: Find it}}"
    suite = sections.settings(EvaluateJob, text)
    assert suite.datasets["scifact"] == EvalDataset(
        folder="results/benchmarks/scifact", language="en", instruction=["Find it"], symmetric=False
    )
    with pytest.raises(UserError, match=r"datasets\.scifact\.qrels"):
        sections.settings(EvaluateJob, text.replace("instruction", "qrels: x, instruction"))
