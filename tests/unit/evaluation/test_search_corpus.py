"""A corpus that is searched in parts, by shards and processes: always the rankings of one pass."""

import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import yaml
from hypothesis import given
from testsets import ENCODING, INSTRUCTION, one_hot, planted, random_dataset, run, save_dataset, save_letters, searched
from tinymodels import save_words

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import QUERIES, RANKINGS, TEST_QUERIES
from tdro.config.models import Encoding
from tdro.data import corpora
from tdro.errors import UserError
from tdro.evaluation import search_corpus
from tdro.evaluation.evaluate import evaluate
from tdro.evaluation.metrics import RANKED
from tdro.evaluation.search_corpus import Portion, portion
from tdro.retrieval import encoder
from tdro.retrieval.encoder import Encoder, unit
from tdro.retrieval.rankings import read_rankings


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Shards of 20 passages, in blocks of 5, and queries in blocks of 16."""
    monkeypatch.setattr(corpora, "BLOCK", 5)
    for module in (encoder, search_corpus):
        monkeypatch.setattr(module, "QUERIES", 16)


def whole_numbers(tmp_path, passages, queries, seed=0):
    """A retriever with embeddings of few different scores, a test set, and embeddings of both sides."""
    rng = np.random.default_rng(seed)
    vectors = rng.choice([-1, 1], size=(passages + queries, 4)).astype(np.float32)  # all of length 2: scores are exact
    model = save_words(tmp_path / "model", {f"w{i}": vector for i, vector in enumerate(vectors)})
    words = [f"w{i}" for i in range(passages + queries)]
    positives = [[i % passages] for i in range(queries)]
    return model, save_dataset(tmp_path / "ds", words[:passages], words[passages:], positives), vectors


def one_pass(asked, passages):
    """The best passages of each query: all scores at once, equal ones by row."""
    scores = unit(asked) @ unit(passages).T
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :RANKED]
    return rows, np.take_along_axis(scores, rows, axis=1)


@pytest.mark.parametrize("parts", [1, 3, 20])
def test_parts_have_the_rankings_of_one_pass_with_ties_by_row(tmp_path, parts):
    model, dataset, vectors = whole_numbers(tmp_path, passages := 250, queries := 30)
    found = searched(tmp_path, model, {"d": dataset}, parts, dimensions=[2])["d"]
    ids = [f"q{i}" for i in range(queries)]
    rankings = read_rankings([Path(found.rankings)], "d", ids, RANKED)
    assert [ranking.dimension for ranking in rankings] == [4, 2]
    for ranking in rankings:
        rows, scores = one_pass(*(v[:, : ranking.dimension] for v in (vectors[passages:], vectors[:passages])))
        assert len(np.unique(scores)) < 6  # nearly all of them are ties, also at the end of a list
        assert ranking.rows.tolist() == rows.tolist()
        assert ranking.scores == pytest.approx(scores, abs=1e-6)


@given(st.integers(1, 400), st.integers(1, 30))
def test_parts_cover_all_shards_once(shards, parts):
    portions = [Portion(number, parts).shards(shards) for number in range(1, parts + 1)]
    assert [number for portion in portions for number in portion] == list(range(shards))
    assert max(map(len, portions)) - min(map(len, portions)) <= 1


@pytest.mark.parametrize("parts", [1, 4])
def test_evaluation_of_rankings_is_that_of_a_retriever_to_the_last_bit(tmp_path, monkeypatch, parts):
    model, dataset, *_ = random_dataset(tmp_path)
    other = save_dataset(tmp_path / "other", ["-"], [f"a{i}" for i in range(7)], [[3 * i] for i in range(7)])
    tests = {"random": dataset, "other": other.model_copy(update={"corpus": dataset.corpus})}
    answered = {"query_id": ["x", "y"], "query": ["a1", "a2"], "answers": [["p7"], ["p8", "p9"]]}
    empty = {"positives": [[], []], "negatives": [[], []], "grades": [None, None]}
    write_table(tmp_path / "answered.parquet", answered | empty, TEST_QUERIES)
    tests["answered"] = tests["other"].model_copy(update={"queries": str(tmp_path / "answered.parquet")})
    evaluate(model, {"b": tests}, ENCODING, tmp_path / "out", runs=True, dimensions=[6])
    tests = searched(tmp_path, model, tests, parts, dimensions=[6])
    monkeypatch.setattr(Encoder, "__init__", None)  # no retriever is loaded
    evaluate(model, {"b": tests}, ENCODING, tmp_path / "searched", runs=True, dimensions=[6])
    files = sorted(file.relative_to(tmp_path / "out") for file in (tmp_path / "out").rglob("*.*") if file.is_file())
    assert [file.name for file in files] == ["b.json", "b.queries.parquet", *(f"{name}.trec" for name in sorted(tests))]
    for file in files:
        assert (tmp_path / "searched" / file).read_bytes() == (tmp_path / "out" / file).read_bytes()


def test_a_symmetric_test_set_reads_the_passages_as_it_does_alone(tmp_path):
    """Letters of the prompt are in the embeddings, so that passages with an instruction are others."""
    texts = ["ab", "bc", "cd", "da", "ac", "bd", "cc", "dd"]
    model = save_letters(tmp_path / "model", [*texts, INSTRUCTION])
    (model / "config_sentence_transformers.json").write_text(
        '{"prompts": {"query": "Find the passage", "document": ""}, "similarity_fn_name": "cosine"}'
    )
    plain = save_dataset(tmp_path / "ds", texts, ["ad", "cb"], [[0], [3]])
    tests = {"plain": plain, "same": plain.model_copy(update={"symmetric": True})}
    expected = run(tmp_path, model, tests)
    read, encode = [], Encoder.passages
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Encoder, "passages", lambda self, t: read.append(self.passage_prompt) or encode(self, t))
        tests = searched(tmp_path, model, tests)
    assert len(set(read)) == 2
    assert run(tmp_path, model, tests, out="searched") == expected


def test_a_killed_search_goes_on_with_the_missing_shards(tmp_path, monkeypatch):
    model, dataset, *_ = random_dataset(tmp_path)
    whole = searched(tmp_path, model, {"d": dataset}, name="whole")["d"]
    encode, read = Encoder.passages, []

    def counted(self, texts):
        if len(read) == 10:  # within the third of eight shards
            raise KeyboardInterrupt
        read.append(len(texts))
        return encode(self, texts)

    monkeypatch.setattr(Encoder, "passages", counted)
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, model, {"d": dataset})
    assert not (tmp_path / "rankings/1of1.parquet").exists()
    read.clear()
    monkeypatch.setattr(Encoder, "passages", lambda self, texts: read.append(len(texts)) or encode(self, texts))
    monkeypatch.setattr(Encoder, "queries", None)  # they are there
    found = searched(tmp_path, model, {"d": dataset})["d"]
    assert read == [5] * 22
    assert Path(found.rankings).read_bytes() == Path(whole.rankings).read_bytes()
    assert not list((tmp_path / "checkpoints/rankings").iterdir())


@pytest.mark.parametrize("change", ["queries", "prompt", "encoding", "dimensions"])
def test_shards_of_other_queries_or_settings_are_made_anew(tmp_path, monkeypatch, change):
    model, dataset, *_ = random_dataset(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(search_corpus, "write_rankings", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            searched(tmp_path, model, {"d": dataset})
    encode, read, more = Encoder.passages, [], {}
    monkeypatch.setattr(Encoder, "passages", lambda self, texts: read.append(1) or encode(self, texts))
    if change == "queries":
        write_table(dataset.queries, read_table(dataset.queries, QUERIES).slice(1), QUERIES)
    elif change == "prompt":
        dataset = dataset.model_copy(update={"instruction": ["Another"]})
    elif change == "encoding":
        monkeypatch.setattr("testsets.ENCODING", Encoding(precision="fp32", query_length=9))
    else:
        more = {"dimensions": [3]}
    searched(tmp_path, model, {"d": dataset}, **more)
    assert len(read) == 30


def test_rankings_of_other_queries_or_of_none_are_refused(tmp_path):
    model, dataset = planted(tmp_path)
    found = searched(tmp_path, model, {"d": dataset})["d"]
    fewer = save_dataset(tmp_path / "fewer", ["-"], ["t0"], [[0]]).model_copy(update={"corpus": dataset.corpus})
    fewer = fewer.model_copy(update={"rankings": found.rankings})
    with pytest.raises(UserError, match=r"rankings\.parquet is of other queries of d than are asked now"):
        run(tmp_path, model, {"d": fewer})
    with pytest.raises(UserError, match=r"rankings\.parquet has no ranking of e; delete it"):
        run(tmp_path, model, {"e": found})


def test_test_sets_of_two_corpora_are_refused(tmp_path):
    model, dataset = planted(tmp_path)
    other = save_dataset(tmp_path / "other", ["t0", "t1"], ["t0"], [[0]])
    with pytest.raises(UserError, match="give those that search one corpus"):
        searched(tmp_path, model, {"d": dataset, "e": other})


@pytest.mark.parametrize("text", ["3of2", "0of2", "1/2", "first"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(UserError, match="is no part of a corpus; write 3of17"):
        portion(text)


def test_two_processes_make_the_rankings_of_one(tmp_path, monkeypatch):
    monkeypatch.undo()  # the processes cut shards as they are
    count = 2 * search_corpus.BLOCKS * corpora.BLOCK + 10
    model = save_words(tmp_path / "model", one_hot(9))
    dataset = save_dataset(tmp_path / "ds", [f"t{i % 9}" for i in range(count)], ["t0", "t5"], [[0], [1]])
    searched(tmp_path, model, {"d": dataset})
    command = [str(Path(sys.executable).with_name("accelerate")), "launch", "--num_processes", "2", "--config_file"]
    command += [str(Path(__file__).parents[3] / "config/accelerate/ddp.yaml"), "-m", "tdro", "search-corpus"]
    command += ["--model", str(model), "--output", str(tmp_path / "two"), "--checkpoints", str(tmp_path / "work")]
    settings = {"tests": {"d": dataset.model_dump()}, "encoding": {"precision": "fp32"}}
    subprocess.run([*command, "--settings", yaml.safe_dump(settings)], check=True, capture_output=True)
    rows = read_table(tmp_path / "two", RANKINGS)["rows"].to_pylist()
    assert rows == [list(range(first, 9 * RANKED, 9)) for first in (0, 5)]
    assert (tmp_path / "two").read_bytes() == (tmp_path / "rankings/1of1.parquet").read_bytes()
