import gzip
import io
import json
import logging
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sentence_transformers import SentenceTransformer
from tinymodels import save_words

from tdro.asking import ask, embedded
from tdro.asking.ask import model_folder, searcher
from tdro.asking.hits import Hit, show, table
from tdro.asking.passagefiles import read_passages
from tdro.cli.main import main
from tdro.errors import UserError
from tdro.retrieval import shards

WORDS = ["red", "green", "blue", "old", "new", "find", "shelf"]
TEXTS = [f"{a} {b}" for a in WORDS[:5] for b in WORDS[:5]]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ask"


def save_model(folder, seed=0, **prompts):
    """A text's embedding is the mean of random vectors of its words."""
    vectors = np.random.default_rng(seed).normal(size=(len(WORDS), 16))
    return save_words(folder, dict(zip(WORDS, vectors, strict=True)), **prompts)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("m") / "model", query="find ", document="", shelf="shelf old ")


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    return path


def best(model, corpus, query, top=5, prompt=None, told=lambda done, rows: None):
    with searcher(str(model), corpus, prompt, told) as asked:
        return asked.best(query, top)


@pytest.mark.parametrize("prompt", [None, "query", "shelf"])
def test_the_nearest_are_those_of_sentence_transformers_with_the_models_prompts(model, corpus, prompt):
    plain = SentenceTransformer(str(model), device="cpu")
    asked = plain.encode_query("new blue", prompt_name=prompt)
    cosines = plain.similarity(asked, plain.encode_document(TEXTS))[0].numpy()
    hits = best(model, corpus, "new blue", prompt=prompt)
    order = np.argsort(-cosines, kind="stable")[:5]
    np.testing.assert_allclose([hit.score for hit in hits], cosines[order], atol=2e-3)
    assert hits[0].text == TEXTS[order[0]]
    assert [TEXTS[int(hit.passage_id) - 1] for hit in hits] == [hit.text for hit in hits]


@pytest.mark.parametrize(
    ("prompts", "symmetric", "name"),
    [
        ({"faq": "find "}, False, "document"),
        ({"faq": "find "}, True, "faq"),
        ({"faq-passage": "old "}, True, "faq-passage"),
    ],
)
def test_passages_have_the_prompt_that_evaluation_gives_those_of_the_task(tmp_path, corpus, prompts, symmetric, name):
    model = save_model(tmp_path / "model", **({"faq": "find ", "document": "shelf "} | prompts))
    (model / "training_settings.json").write_text(json.dumps({"tasks": {"faq": {"symmetric": symmetric}}}))
    plain = SentenceTransformer(str(model), device="cpu")
    passages = plain.encode(TEXTS, prompt=plain.prompts[name])
    expected = plain.similarity(plain.encode(["red new"], prompt="find "), passages)[0].numpy()
    hits = best(model, corpus, "red new", top=len(TEXTS), prompt="faq")
    np.testing.assert_allclose([h.score for h in hits], np.sort(expected)[::-1], atol=2e-3)
    best(model, corpus, "red new", prompt="faq", told=lambda done, rows: pytest.fail("embedded again"))


def test_a_block_at_a_time_finds_the_same(model, corpus, monkeypatch):
    whole = best(model, corpus, "old green", top=25)
    monkeypatch.setattr(shards, "BLOCK_BYTES", 4 * 16 * 3)
    assert best(model, corpus, "old green", top=25) == whole


def test_more_passages_than_there_are_gives_all_of_them(model, corpus):
    assert len(best(model, corpus, "old", top=1000)) == len(TEXTS)


def test_a_corpus_is_embedded_once_until_it_or_the_model_changes(model, corpus, tmp_path, cache, monkeypatch):
    told = []

    def made(of=model):
        told.clear()
        best(of, corpus, "red", told=lambda done, rows: told.append((done, rows)))
        return bool(told)

    monkeypatch.setattr(embedded, "SHARD", 10)
    assert made()
    assert told == [(0, 25), (10, 25), (20, 25), (25, 25)]
    assert not made()
    corpus.write_text("\n".join(reversed(TEXTS)) + "\n")
    assert made()
    assert best(model, corpus, "red red", top=1)[0].text == "red red"
    other = save_model(tmp_path / "model", seed=1)
    assert made(other)
    assert not made()
    assert not made(other)
    save_model(tmp_path / "model", seed=2)
    assert made(other)
    assert len(list(cache.glob("*/*"))) == 2


def test_what_a_stopped_run_has_embedded_is_not_embedded_again(model, corpus, monkeypatch):
    monkeypatch.setattr(embedded, "SHARD", 10)

    def stop(done, rows):
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        best(model, corpus, "red", told=stop)
    texts, encode = [], SentenceTransformer.encode_document

    def counted(self, sentences, **others):
        texts.extend(sentences)
        return encode(self, sentences, **others)

    monkeypatch.setattr(SentenceTransformer, "encode_document", counted)
    assert best(model, corpus, "find blue blue", top=1)[0].text == "blue blue"
    assert texts == TEXTS[20:]


def test_two_processes_may_ask_at_once_and_one_that_makes_anew_waits(model, corpus, caplog, monkeypatch):
    with searcher(str(model), corpus, None, lambda done, rows: None) as first:
        assert best(model, corpus, "red") == first.best("red", 5)
        corpus.write_text("red\n")
        monkeypatch.setattr(embedded.fcntl, "flock", refusing(embedded.fcntl.flock))
        with caplog.at_level(logging.INFO, "tdro"), pytest.raises(TimeoutError):
            best(model, corpus, "red")
        assert "waiting until it has ended" in caplog.text
        assert first.best("red red", 1)[0].text == "red red"


def refusing(flock):
    """``flock`` that does not wait for others."""

    def never_waits(file, operation):
        try:
            flock(file, operation | embedded.fcntl.LOCK_NB)
        except BlockingIOError:
            if not operation & embedded.fcntl.LOCK_NB:
                raise TimeoutError from None
            raise

    return never_waits


def test_every_kind_of_file_gives_the_same_passages(tmp_path):
    rows = [("a", "T", "red\tred"), ("b", "", "blue")]
    objects = [{"_id": i, "title": t, "text": x} for i, t, x in rows]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in objects))
    with gzip.open(tmp_path / "c.jsonl.gz", "wt") as file:
        file.write((tmp_path / "c.jsonl").read_text())
    columns = {"passage_id": ["a", "b"], "title": ["T", None], "text": ["red\tred", "blue"], "more": [1, 2]}
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    for name in ("c.jsonl", "c.jsonl.gz", "c.parquet"):
        assert [(p.passage_id, p.title, p.text) for p in read_passages(tmp_path / name)] == rows
    (tmp_path / "c.TSV").write_bytes(b"\xef\xbb\xbfa\tred\tred\r\n\nb\tblue")
    assert [(p.passage_id, p.text) for p in read_passages(tmp_path / "c.TSV")] == [("a", "red\tred"), ("b", "blue")]
    (tmp_path / "c.txt").write_text("red\n\n  \nblue\n")
    assert [(p.passage_id, p.text) for p in read_passages(tmp_path / "c.txt")] == [("1", "red"), ("2", "blue")]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).filter(str.strip)))
def test_texts_come_back_as_they_are(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("x") / "c.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    assert [passage.text for passage in read_passages(path)] == texts


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.txt", None, "none.txt does not exist; expected a file of passages"),
        ("c.csv", b"text\nred\n", "c.csv is of another kind; expected a file of passages"),
        ("c.txt", b"", "c.txt holds no passage"),
        ("c.txt", b"\n \n", "c.txt holds no passage"),
        ("c.txt", b"caf\xe9\n", "c.txt, line 1 is not UTF-8"),
        ("c.tsv", b"a\tred\nblue\n", "c.tsv, line 2 has no second column"),
        ("c.jsonl", b'{"text": "red"}\n{"txt": "blue"}\n', "c.jsonl, line 2 has no string `text`"),
        ("c.jsonl", b'{"text": "red"}\n["blue"]\n', "c.jsonl, line 2 is no JSON object"),
        ("c.parquet", b"PAR1, and no end", "c.parquet cannot be read: it is cut off"),
        ("c.jsonl", b"\x1f\x8b\x08", "it is gzip; let its name end in `.gz`; correct --corpus"),
    ],
)
def test_a_corpus_that_cannot_be_searched_is_one_sentence(model, tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        best(model, tmp_path / name, "red")
    assert said in str(error.value)
    assert "registry" not in str(error.value)


def test_a_table_without_texts_is_one_sentence(tmp_path):
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "c.parquet")
    with pytest.raises(UserError, match="has no column 'text'; it has body"):
        list(read_passages(tmp_path / "c.parquet"))


def test_a_corpus_that_failed_once_is_read_when_it_is_mended(model, tmp_path):
    (tmp_path / "c.txt").write_text("")
    for _ in range(2):
        with pytest.raises(UserError, match="holds no passage"):
            best(model, tmp_path / "c.txt", "red")
    (tmp_path / "c.txt").write_text("red\n")
    assert len(best(model, tmp_path / "c.txt", "red")) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("results/a/b/model", "results/a/b/model is no folder"),
        ("./model", "./model is no folder"),
        ("empty", "empty holds no model"),
        ("package:x", "names no file"),
    ],
)
def test_what_is_no_model_is_one_sentence(corpus, tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as error:
        best(name, corpus, "red")
    assert said in str(error.value)


def test_a_hub_model_is_taken_from_the_cache_and_else_fetched(model, monkeypatch, tmp_path):
    import huggingface_hub

    found = {"org/here": str(model), "org/part": str(tmp_path)}

    def snapshot(name, **options):
        assert options == {"local_files_only": True}
        if name not in found:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not here")
        return found[name]

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setattr(ask, "find", lambda job, manifest: (job.name, manifest))
    assert model_folder("org/here") == model
    assert model_folder("org/part") == ("org/part", None)
    assert model_folder("org/elsewhere") == ("org/elsewhere", None)


def test_a_prompt_that_the_model_lacks_is_named_with_those_it_has(model, corpus):
    with pytest.raises(UserError, match=r"no prompt 'shelv' \(did you mean 'shelf'\?\); it has document, query, shelf"):
        best(model, corpus, "red", prompt="shelv")


def run(*arguments, stdin=b""):
    command = [sys.executable, "-m", "tdro", "ask", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, env=os.environ)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_the_command_answers_queries_from_standard_input_a_line_a_passage(model, corpus):
    status, out, err = run(model, "--corpus", corpus, "--top", 2, stdin=b"red red\n\n\tblue blue\r\n")
    assert status == 0, err
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[:2] for row in rows] == [["red red", "1"], ["red red", "2"], ["blue blue", "1"], ["blue blue", "2"]]
    assert all(len(row) == 5 and -1 <= float(row[2]) <= 1 for row in rows)


@pytest.mark.parametrize("order", ["before", "behind"])
def test_the_query_may_stand_anywhere(model, corpus, capsys, order):
    rest = ["--corpus", str(corpus), "--top", "1"]
    main(["ask", str(model), *(["red red", *rest] if order == "before" else [*rest, "red red"])])
    assert capsys.readouterr().out.split("\t")[:2] == ["red red", "1"]


@pytest.mark.parametrize(
    ("more", "stdin", "said"),
    [
        (["  "], "", "the query is empty"),
        ([], "\n \n", "standard input holds no query"),
        ([], b"red\n\xff\n", "query 2 of standard input is not UTF-8"),
    ],
)
def test_a_wrong_question_is_one_sentence(model, corpus, monkeypatch, capsys, more, stdin, said):
    stream = io.TextIOWrapper(io.BytesIO(stdin if isinstance(stdin, bytes) else stdin.encode()))
    monkeypatch.setattr(sys, "stdin", stream)
    with pytest.raises(SystemExit) as error:
        main(["ask", str(model), "--corpus", str(corpus), *more])
    assert said in str(error.value)
    assert str(error.value).startswith("tdro ask: error: ")


def test_on_a_terminal_passages_are_cut_and_nothing_is_taken_for_markup():
    output = io.StringIO()
    console = Console(file=output, width=60, force_terminal=True, color_system="standard", markup=False)
    show(console, [Hit(0.5, "[red]a\tb " * 100, "A [title]", "p1"), Hit(-0.25, "short", "", "p2")])
    said = output.getvalue()
    assert "A [title]" in said
    assert "[red]a b" in said
    assert "…" in said
    assert "\x1b[32m0.500" in said
    assert len(said.splitlines()) <= 6


def test_a_pipe_gets_one_line_a_passage_whatever_stands_in_it():
    assert table("a\tb", [Hit(0.5, "x\ny", "T\tU", "p")]) == "a b\t1\t0.5000\tp\tT U x y"


def held_out(results, task, queries):
    from tdro.artifacts.files import write_table
    from tdro.artifacts.schemas import CORPUS, QUERIES

    folder = results / "data" / task / "heldout"
    write_table(folder / "corpus.parquet", {"passage_id": ["p"], "title": [""], "text": ["red"]}, CORPUS)
    none, numbers = [[]] * len(queries), [str(number) for number in range(len(queries))]
    rows = {"query_id": numbers, "query": queries, "positives": none, "negatives": none}
    write_table(folder / "queries.parquet", rows, QUERIES)


@pytest.mark.parametrize("prompted", [False, True])
def test_the_command_that_the_report_ends_with_works(tmp_path, monkeypatch, prompted):
    from tdro.artifacts.layout import Layout
    from tdro.config.commands import Content
    from tdro.report import askline

    monkeypatch.chdir(tmp_path)
    content = Content(
        models=["tiny"], proxy="tiny", seeds=[1], mixtures=["uniform", "curr"], tasks=["faq"],
        benchmarks={"web": ["web"], "in_domain": ["long", "faq"]},
    )  # fmt: skip
    assert askline.command(content, Layout("results")) is None
    save_model(tmp_path / "results/tiny/seed1/curr/model", **({"faq": "find "} if prompted else {}))
    assert askline.command(content, Layout("results")) is None
    held_out(tmp_path / "results", "long", ["long " * 40])
    held_out(tmp_path / "results", "faq", ["long " * 40, "two\nlines", "it's $HOME red"])
    line = askline.command(content, Layout("results"))
    assert ("--prompt faq" in line) == prompted
    done = subprocess.run(line, shell=True, capture_output=True, text=True)
    assert done.stdout.split("\t")[0] == "it's $HOME red", done.stderr
