"""Sizes of datasets: counted where they are prepared, else expected, else assumed; and tokens of their texts."""

import pytest
from toyjobs import ENTRY, jobs

from tdro.artifacts.files import write_table
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import CORPUS, QUERIES, TRAIN
from tdro.config.registry import ExpectedRows
from tdro.forecast.sizes import ASSUMED, COUNTED, EXPECTED, NOTHING, NUMBER, Sizes, Texts
from tdro.forecast.tokens import A_WORD, AROUND, by_bytes, counter, mean_length


def write(folder, queries, passages):
    """A prepared dataset of so many queries and passages; a passage has a title of one word and two of text."""
    for file, number, schema, texts in (
        ("queries", queries, QUERIES, {"query": "what is it", "positives": [0], "negatives": []}),
        ("corpus", passages, CORPUS, {"title": "title", "text": "some text"}),
    ):
        key = "query_id" if file == "queries" else "passage_id"
        columns = {key: [str(i) for i in range(number)]} | {name: [value] * number for name, value in texts.items()}
        write_table(folder / f"{file}.parquet", columns, schema)


def test_what_is_prepared_is_counted(tmp_path):
    layout, made = Layout(tmp_path), jobs()
    write(tmp_path / "data/one", 300, 200)
    write(tmp_path / "data/one/heldout", 3, 40)
    write(tmp_path / "benchmarks/web", 20, 30)
    task = Sizes(made, layout).task("one")
    assert [t.number for t in (task.queries, task.passages, task.held_out_queries, task.held_out_passages)] == [
        *(300, 200, 3, 40)
    ]
    assert {t.known for t in (task.queries, task.passages)} == {COUNTED}
    assert set(task.queries.sample) == {"what is it"}
    assert set(task.passages.sample) == {"title some text"}
    assert len(task.passages.sample) == 64
    assert task.rows == 300
    write_table(tmp_path / "data/one/train.parquet", {"query": [1], "positives": [[0]], "negatives": [[]]}, TRAIN)
    sizes = Sizes(made, layout)
    assert sizes.task("one").rows == 1
    assert (sizes.queries("web").number, sizes.corpus("web").number) == (20, 30)
    known = {name: texts.known for name, texts in sizes.all()}
    assert known == dict.fromkeys(["two", "nq", "cqa", "miracl", "mkqa", "mkqa-nq"], NOTHING) | {
        "one": COUNTED,
        "web": COUNTED,
    }


def test_of_many_or_large_files_fewer_texts_are_read(tmp_path, monkeypatch):
    layout = Layout(tmp_path)
    write(tmp_path / "benchmarks/web", 20, 300)
    monkeypatch.setattr("tdro.forecast.sizes._ALL", 0)
    assert len(Sizes(jobs(), layout).corpus("web").sample) == 4
    monkeypatch.undo()
    monkeypatch.setattr("tdro.forecast.sizes._SMALL", 10)
    found = Sizes(jobs(), layout).corpus("web")
    assert (found.number, len(found.sample)) == (300, 64)


def test_what_is_not_prepared_is_as_the_registry_expects(tmp_path):
    expected = {"queries": 700, "passages": 9000, "query_words": 5, "passage_words": 50}
    source = {"reader": "beir", "path": "data/cqa/{part}"}
    cqa = ENTRY | {"source": source, "parts": ["a", "b"], "queries": 100, "expected_rows": expected}
    sizes = Sizes(jobs({"cqa": cqa}), Layout(tmp_path))
    assert sizes.queries("cqa-a") == Texts(100, (), 5, EXPECTED)  # 350, of which `queries` keeps 100
    assert sizes.corpus("cqa-b") == Texts(4500, (), 50, EXPECTED)
    task = sizes.task("one")
    assert task.queries == Texts(ASSUMED.queries, (), ASSUMED.query_words, NOTHING)
    assert (task.held_out_queries.number, task.held_out_passages.number) == (3, 1000)


def test_a_number_without_words_is_half_known(tmp_path):
    entry = ENTRY | {"source": {"reader": "jsonl", "path": "rows.jsonl"}, "expected_rows": {"queries": 7}}
    sizes = Sizes(jobs({"web": entry}), Layout(tmp_path))
    assert sizes.queries("web").known == NUMBER
    assert sizes.corpus("web").known == NOTHING
    assert ExpectedRows() == ExpectedRows.model_validate({})


def test_tokens_are_those_of_the_tokenizer(tiny_base):
    from transformers import AutoTokenizer

    texts = ("alpha beta", "omega " * 30)
    assert counter(tiny_base)(texts) == [
        len(ids) for ids in AutoTokenizer.from_pretrained(tiny_base)(list(texts))["input_ids"]
    ]
    assert counter(tiny_base.parent / "nowhere") is counter(None) is None
    assert by_bytes(("abcd", "漢字")) == [1 + AROUND, 2 + AROUND]


def test_long_texts_are_cut():
    seen = Texts(10, ("a" * 4, "a" * 400))
    assert mean_length(seen, by_bytes, 52) == (3 + 52) / 2
    assert mean_length(seen, by_bytes, 52, prompt=20) == (23 + 52) / 2
    assert mean_length(Texts(0), by_bytes, 52, prompt=20) == 20 + AROUND  # of an empty file


@pytest.mark.parametrize("limit", [8, 64, 512])
def test_of_unseen_texts_the_mean_of_a_gamma_distribution_is_cut(limit):
    import numpy as np

    drawn = np.random.default_rng(1).gamma(2, 20 * A_WORD, 400_000)
    unseen = Texts(10, (), 40)
    found = mean_length(unseen, by_bytes, limit, prompt=3)
    assert found == pytest.approx(np.minimum(drawn + 3 + AROUND, limit).mean(), rel=0.01)
