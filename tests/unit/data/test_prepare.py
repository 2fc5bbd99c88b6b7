"""Preparation through its files, on rows of JSON lines."""

import json
import re
import tarfile
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv
from reading import written

from tdro.artifacts.files import read_counts, read_table
from tdro.artifacts.schemas import CORPUS, QUERIES
from tdro.config.data import Data
from tdro.config.registry import Benchmark, Columns, Source, Task
from tdro.data.heldout import MOST_OF_A_PASSAGE
from tdro.data.prepare import prepare_benchmark, prepare_task
from tdro.errors import UserError
from tdro.text.strings import mended


def task(path, **keys):
    source = Source(reader="jsonl", path=str(path))
    return Task(source=source, language="en", instruction="Find it.", category="test", **keys)


@pytest.fixture
def prepare(tmp_path):
    """Prepare rows as a task (or benchmark); returns its output folder."""

    def run(examples, *, data=None, name="toy", benchmark=False, **keys):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in examples), encoding="utf-8")
        output = tmp_path / name
        if benchmark:
            entry = Benchmark(
                source=Source(reader="jsonl", path=str(path)), language="en", instruction="Find it.", **keys
            )
            prepare_benchmark(name, entry, data or Data(), output)
        else:
            prepare_task(name, task(path, **keys), data or Data(), output)
        return output

    return run


def load(folder):
    """Passages as texts, and for each query the texts it points to."""
    passages = [(p["title"], p["text"]) for p in read_table(folder / "corpus.parquet", CORPUS).to_pylist()]
    queries = {
        row["query"]: ([passages[p][1] for p in row["positives"]], [passages[n][1] for n in row["negatives"]])
        for row in read_table(folder / "queries.parquet", QUERIES).to_pylist()
    }
    return passages, queries


def counts(folder):
    return read_counts(folder / "queries.parquet")


# --- texts


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("def f(a):\n    if a:\n\t\treturn 1  # so\n\n", None),
        ("  indented\u00a0text\u200b ", None),
        ("two\r\nlines\rthree", "two\nlines\nthree"),
        ("no\0thing\x1b[0m\x7f", "nothing[0m"),
        ("page\x0cbreak\x85", "page break "),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
        ("whole \U0001f600", None),
    ],
)
def test_texts_are_stored_as_they_are_but_for_what_is_broken(prepare, text, stored):
    stored = text if stored is None else stored
    assert mended(text) == stored
    output = prepare([{"query": text, "pos": [{"text": f"{text}p", "title": f"{text}t"}]}])
    assert load(output) == ([(f"{stored}t", f"{stored}p")], {stored: ([f"{stored}p"], [])})


def test_a_cut_passage_keeps_its_lines_up_to_the_cut(prepare):
    code = "def f(a):\n    return a\n"
    output = prepare([["q", code], ["r", "short\n"]], data=Data(max_words=3))
    assert load(output)[0] == [("", "def f(a):\n    return"), ("", "short\n")]
    assert counts(output)["passage cut"] == 1


# --- rules


def test_texts_are_stored_once_and_equal_queries_merge(prepare):
    output = prepare([["q  one", "same\npassage"], ["q two", "same passage"], ["q one", "another"]])
    passages, queries = load(output)
    assert passages == [("", "same\npassage"), ("", "another")]
    assert queries == {"q  one": (["same\npassage", "another"], []), "q two": (["same\npassage"], [])}
    assert counts(output)["merged with an equal query"] == 1
    assert counts(output)["merged with an equal passage"] == 1


def test_what_is_dropped_is_counted(prepare):
    rows = [
        ["a good query", "a good passage"],
        ["x", "a good passage"],
        ["a query here", "x"],
        ["The Same", "the same"],
        {"query": "partly good", "pos": ["x", "Partly good!", "an answer"], "neg": ["y", "partly good"]},
    ]
    output = prepare(rows, data=Data(min_words=2))
    assert load(output)[1] == {"a good query": (["a good passage"], []), "partly good": (["an answer"], [])}
    assert list(counts(output).items())[:8] == [
        ("rows read", 5),
        ("query too short", 1),
        ("positive too short", 2),
        ("negative too short", 1),
        ("row without a positive left", 1),
        ("positive says the same as the query", 2),
        ("query with no other positive", 1),
        ("negative says the same as the query or a positive", 1),
    ]


def test_provided_negatives_are_never_positives(prepare):
    rows = [["q", "p", "n"], ["q", "n", "m"], ["other", "p"]]
    output = prepare(rows, negatives="provided")
    assert load(output)[1] == {"q": (["p", "n"], ["m"])}
    assert counts(output)["negative says the same as the query or a positive"] == 1
    assert counts(output)["without a negative"] == 1


def test_mined_tasks_list_no_negatives_but_keep_them_as_candidates(prepare):
    passages, queries = load(prepare([["q", "p", "n"]]))
    assert queries == {"q": (["p"], [])}
    assert ("", "n") in passages


def test_rows_are_sampled_with_their_passages(prepare):
    output = prepare([[f"query {i}", f"passage {i}"] for i in range(50)], rows=7)
    passages, queries = load(output)
    assert len(queries) == 7
    assert {text for _, text in passages} == {text for positives, _ in queries.values() for text in positives}


def test_identifiers_are_the_sources_or_made_and_unique(prepare):
    rows = [
        {"query_id": "x", "query": "a", "pos": [{"docid": "d", "text": "p"}]},
        {"query_id": "x", "query": "b", "pos": [{"docid": "d", "text": "r"}]},
        {"query": "c", "pos": "s"},
    ]
    output = prepare(rows)
    queries = read_table(output / "queries.parquet", QUERIES)["query_id"].to_pylist()
    passages = read_table(output / "corpus.parquet", CORPUS)["passage_id"].to_pylist()
    assert queries == ["x", "toy-q1", "toy-q2"]
    assert passages == ["d", "toy-p1", "toy-p2"]


def test_corpus_of_a_beir_task_is_kept_whole(tmp_path):
    documents = [{"_id": f"d{i}", "text": f"document {i}"} for i in range(5)]
    written(tmp_path / "beir/corpus.jsonl", documents)
    written(tmp_path / "beir/queries.jsonl", [{"_id": "q", "text": "query"}])
    written(tmp_path / "beir/qrels/train.tsv", "q\td3\t1\n")
    entry = task("").model_copy(update={"source": Source(reader="beir", path=str(tmp_path / "beir"))})
    prepare_task("toy", entry, Data(), tmp_path / "out")
    passages, queries = load(tmp_path / "out")
    assert [text for _, text in passages] == [document["text"] for document in documents]
    assert queries == {"query": (["document 3"], [])}


def test_benchmarks_are_not_filtered_and_keep_their_corpus(prepare):
    rows = [["Same", "same"], ["x", "y z"], ["", "left out"], ["b", "c"]]
    output = prepare(rows, benchmark=True, data=Data(min_words=2), queries=2)
    passages, queries = load(output)
    assert len(queries) == 2
    assert set(queries) < {"Same", "x", "b"}
    assert [text for _, text in passages] == ["same", "y z", "c"]


# --- malformed rows


@pytest.fixture
def malformed(tmp_path):
    """A file with seven malformed lines among its rows."""
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps([f"query {i}", f"passage {i}"]) if i % 2 else "{broken" for i in range(14)]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("most", [0, 6])
def test_too_many_malformed_rows_stop_and_write_nothing(malformed, tmp_path, most):
    with pytest.raises(UserError) as error:
        prepare_task("toy", task(malformed), Data(max_bad_rows=most), tmp_path / "out")
    message = str(error.value)
    assert message.startswith(f"task toy has 7 malformed rows, and `data.max_bad_rows` allows {most}: ")
    assert [f"rows.jsonl, line {n} is not JSON" in message for n in (1, 3, 5, 7, 9, 11)] == [True] * 5 + [False]
    assert "; and 2 more. Correct them, or raise `data.max_bad_rows`" in message
    assert list(tmp_path.iterdir()) == [malformed]


def test_fewer_malformed_rows_are_left_out_counted_and_warned_of(malformed, tmp_path, caplog):
    prepare_task("toy", task(malformed), Data(max_bad_rows=7), tmp_path / "out")
    assert list(load(tmp_path / "out")[1]) == [f"query {i}" for i in range(1, 14, 2)]
    assert counts(tmp_path / "out")["malformed"] == 7
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("task toy: 7 malformed rows left out: ")
    assert warning.endswith("; and 2 more")


def test_a_long_source_tells_its_progress(prepare, monkeypatch, caplog):
    monkeypatch.setattr("tdro.progress.FIRST", 0)
    monkeypatch.setattr("tdro.progress.EVERY", 0)
    with caplog.at_level("INFO", logger="tdro"):
        prepare([[f"query {i}", f"passage {i}"] for i in range(3)])
    line = re.compile(r"toy: read (\d+) of about 3 rows, [\d.]+ a second, about \d+ s left")
    found = [line.match(record.getMessage()) for record in caplog.records]
    assert [match[1] for match in found if match] == ["1", "2", "3"]


def test_max_bad_rows_does_not_excuse_a_broken_file(tmp_path):
    with pytest.raises(UserError, match=r"gone\.jsonl cannot be read"):
        prepare_task("toy", task(tmp_path / "gone.jsonl"), Data(max_bad_rows=10**9), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# --- every format


def test_a_task_of_each_format(tmp_path):
    """The same pairs in every format become the same files."""
    pairs = [(f"query {i}", f"passage {i}") for i in range(30)]
    lines = {
        "pairs.jsonl": pairs,
        "sets.jsonl": [{"set": pair} for pair in pairs],
        "pos.jsonl": [{"query": query, "pos": [passage]} for query, passage in pairs],
        "tevatron.jsonl": [{"query": q, "positive_passages": [{"text": p}], "negative_passages": []} for q, p in pairs],
    }
    sources = [Source(reader="jsonl", path=str(tmp_path / name)) for name in lines]
    for name, values in lines.items():
        (tmp_path / name).write_text("\n".join(map(json.dumps, values)))
    (tmp_path / "packed").mkdir()
    with tarfile.open(tmp_path / "packed" / "task.jsonl.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "tevatron.jsonl", "task.jsonl")
    sources.append(Source(reader="released", path=str(tmp_path / "packed")))
    columns = Columns(query="q", positive="p")
    frame = pa.table({"q": [q for q, _ in pairs], "p": [p for _, p in pairs]})
    pq.write_table(frame, tmp_path / "t.parquet")
    csv.write_csv(frame, tmp_path / "t.csv")
    sources += [Source(reader="table", path=str(tmp_path / name), columns=columns) for name in ("t.parquet", "t.csv")]
    found = []
    for source in sources:
        entry = task("").model_copy(update={"source": source, "held_out": 5})
        prepare_task("toy", entry, Data(), tmp_path / "out")
        found.append((load(tmp_path / "out"), load(tmp_path / "out" / "heldout")))
    assert len(found[0][0][1]) == 25
    assert all(other == found[0] for other in found)


# --- positives that repeat their query

NEAR = [f"how do I reset the password of account {i}" for i in range(4)]
ECHOES = [[text, f"{text.upper()}?"] for text in ["one thing", "two things"]] + [[t, f"{t} please"] for t in NEAR]


@pytest.mark.parametrize(("drop", "left"), [("none", 10), ("same", 8), ("near", 4)])
def test_echoes_are_counted_and_dropped_as_told(prepare, caplog, drop, left):
    rows = [*ECHOES, *([f"question {i}", f"its answer is {i}"] for i in range(4))]
    output = prepare(rows, data=Data(drop_echoes=drop))
    found = counts(output)
    assert found["positive says the same as the query"] == 2
    assert found["positive nearly says the same as the query"] == 4
    assert found.get("query with no other positive", 0) == 10 - left
    assert found["training queries"] == len(load(output)[1]) == found["training passages"] == left
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("task toy: 2 of 10 positives say the same as their query and 4 nearly do; ")
    assert f"{left - 4} of these are kept (`data.drop_echoes: {drop}`)" in warning


def test_few_echoes_give_no_warning(prepare, caplog):
    prepare([["same", "Same."], *([f"question {i}", f"its answer is {i}"] for i in range(4))])
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_task_of_echoes_is_refused_by_name(prepare):
    with pytest.raises(UserError) as error:
        prepare([["a b", "A b"], ["c d", "c d!"]], name="mistaken")
    assert str(error.value).startswith(
        "task mistaken: 2 of 2 positives say the same as their query and 0 nearly do, so"
    )
    assert "two different columns, or set `data.drop_echoes: none`." in str(error.value)


# --- held out


@pytest.mark.parametrize("seed", range(3))
def test_held_out_passages_are_no_training_passages(prepare, seed):
    rows = [[f"query {i}", f"passage {i % 40}"] for i in range(100)]
    output = prepare(rows, held_out=12, held_out_corpus=30, data=Data(seed=seed))
    training, train_queries = load(output)
    corpus, queries = load(output / "heldout")
    answers = {text for positives, _ in queries.values() for text in positives}
    assert len(queries) == 12
    assert len(corpus) == 30
    assert answers <= {text for _, text in corpus}
    assert answers.isdisjoint(text for _, text in training)
    assert set(queries).isdisjoint(train_queries)
    assert counts(output)["held out"] == 12


def test_without_held_out_queries_the_files_are_there_and_empty(prepare):
    assert load(prepare([["q", "p"]]) / "heldout") == ([], {})


def test_no_passage_rules_the_held_out_queries(prepare):
    rows = [[f"query {i}", f"passage {i % 40}"] for i in range(400)]
    output = prepare(rows, held_out=20)
    _, queries = load(output / "heldout")
    assert max(Counter(positives[0] for positives, _ in queries.values()).values()) == MOST_OF_A_PASSAGE
    assert counts(output)["surplus of a held-out passage"] == 20 * 10 - 20


def test_queries_whose_negatives_are_all_held_out_are_counted(prepare):
    rows = [
        {"query": f"query {i}", "positive": f"passage {i}", "negatives": [f"passage {(i + 1) % 40}"]} for i in range(40)
    ]
    output = prepare(rows, held_out=10, negatives="provided")
    found = counts(output)
    assert found["all negatives held out"] > 0
    assert found["training queries"] == 40 - 10 - found["all negatives held out"]


def test_same_seed_same_files_and_another_seed_another_split(prepare):
    rows = [[f"query {i}", f"passage {i}"] for i in range(60)]

    def files(seed):
        output = prepare(rows, held_out=10, rows=20, data=Data(seed=seed))
        return [load(output), load(output / "heldout")]

    first = files(1)
    assert files(1) == first
    assert files(2) != first


@pytest.mark.parametrize(
    "rows, keys, complaint",
    [
        ([["x", "p p"]], {"data": Data(min_words=2)}, r"task toy has no rows \(rows read: 1, query too short: 1\)"),
        ([["q", "p"]], {"negatives": "provided"}, "task toy has no queries with provided negatives; set `negatives"),
        ([["q", "p"]], {"held_out": 5}, "task toy: holding 5 queries out leaves 0 to train on and finds 1"),
        ([["", "p"]], {"benchmark": True}, "benchmark toy has no rows"),
    ],
)
def test_nothing_left_says_what_was_dropped(prepare, rows, keys, complaint):
    with pytest.raises(UserError, match=complaint):
        prepare(rows, **keys)
