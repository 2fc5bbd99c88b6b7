import itertools
import json
import logging
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from testsets import (
    ENCODING,
    one_hot,
    planted,
    random_dataset,
    run,
    save_dataset,
    save_letters,
    scores_of,
    searched,
)
from tinymodels import save_words

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import ANSWER_METRICS, QUERIES, RELEVANCE_METRICS, TEST_QUERIES
from tdro.config import sections
from tdro.config.commands import EvalDataset, EvaluateJob, Miner
from tdro.config.models import Encoding, Model
from tdro.config.prompts import INSTRUCT
from tdro.errors import UserError
from tdro.evaluation.evaluate import evaluate, without_themselves
from tdro.models import precision


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


def test_a_relevant_passage_stays_in_the_ranking_whatever_its_identifier(tmp_path):
    """Terms and what explains them, with one numbering; and a passage that is the query and its own answer."""
    vectors = one_hot(3) | {"zinc": np.array([1.0, 0, 0]), "bluish": np.array([0.5, 0, 0])}
    model = save_words(tmp_path / "model", vectors)
    ids = ["1", "2", "3"]
    dataset = save_dataset(tmp_path / "ds", ["zinc bluish", "t1", "t2"], ["zinc", "t1"], [[0], [1]], ids, ids[:2])
    scores, _ = run(tmp_path, model, {"ids": dataset})
    assert scores["datasets"]["ids"]["ndcg_at_10"] == 1.0


def test_a_grade_that_is_missing_is_refused(tmp_path):
    model, dataset = planted(tmp_path)
    columns = read_table(dataset.queries, QUERIES).to_pydict() | {"grades": [[]] + [[1]] * 19, "answers": [None] * 20}
    columns["positives"][1] = [1, 2]
    write_table(dataset.queries, columns, TEST_QUERIES)
    assert "fewer grades than positives" in refused(tmp_path, model, dataset)


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


def test_blocks_do_not_change_a_ranking(tmp_path, monkeypatch):
    from tdro.data import corpora

    model, dataset, *_ = random_dataset(tmp_path)
    whole = run(tmp_path, model, {"random": dataset})
    monkeypatch.setattr(corpora, "BLOCK", 7)
    assert run(tmp_path, model, {"random": dataset}, out="blocks") == whole


def several(tmp_path, runs=False):
    """Three benchmarks of one retriever: one of two test sets, one whose corpus was searched before, and another."""
    model, planted_one = planted(tmp_path)
    texts = [f"t{i}" for i in range(12)]
    second = save_dataset(tmp_path / "second", texts, texts[::-1], [[i] for i in range(12)])
    stored = searched(tmp_path, model, {"s": planted_one}, parts=2)
    return model, {"both": {"x": planted_one, "y": second}, "stored": stored, "wrong": {"w": second}}


def test_benchmarks_together_give_the_files_of_each_alone_from_one_load_of_the_retriever(tmp_path, monkeypatch):
    from tdro.evaluation import evaluate as module

    model, benchmarks = several(tmp_path)
    opened, open_retriever = [], module.open_retriever
    monkeypatch.setattr(module, "open_retriever", lambda *a: opened.append(1) or open_retriever(*a))
    for name, datasets in benchmarks.items():
        evaluate(model, {name: datasets}, ENCODING, tmp_path / "alone", runs=True)
    assert len(opened) == 2  # none for rankings
    opened.clear()
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
    bad = benchmarks["stored"]["s"].model_copy(update={"rankings": str(tmp_path / "nowhere")})
    with pytest.raises(UserError, match=r"^benchmark stored: .*nowhere"):
        evaluate(model, benchmarks | {"stored": {"s": bad}}, ENCODING, tmp_path / "out")
    assert "evaluated all the same: both, wrong" in caplog.messages
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "both.json",
        "both.queries.parquet",
        "wrong.json",
        "wrong.queries.parquet",
    ]


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
