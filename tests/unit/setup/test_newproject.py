"""`tdro init`: a folder of data becomes a project that can be read, checked and run."""

import json

import pytest

from tdro.cli.main import main
from tdro.pipeline import start
from tdro.setup import questions

TREES = "oak elm ash fir yew box bay fig rye oat pea leek kale dill mint sage thyme clove mace cumin"
INSTRUCTION = "Given a customer's question, retrieve the answer."


def lines(rows, query="query", positive="positive"):
    """JSON lines of English texts, each another."""
    trees = TREES.split()
    texts = [f"{trees[n % 20]} and {trees[n // 20 % 20]} number {n}" for n in range(rows)]
    return "".join(
        json.dumps({query: f"What is the {text}?", positive: f"This is the {text}."}) + "\n" for text in texts
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(questions, "can_ask", lambda: False)
    (tmp_path / "data/support/qrels").mkdir(parents=True)
    (tmp_path / "data/faq.jsonl").write_text(lines(400))
    (tmp_path / "data/tickets.jsonl").write_text(lines(60, "question", "answer"))
    (tmp_path / "data/tickets_dev.jsonl").write_text(lines(30, "question", "answer"))
    (tmp_path / "data/few.jsonl").write_text(lines(3))
    (tmp_path / "data/notes.txt").write_text("hello")
    (tmp_path / "data/support/corpus.jsonl").write_text('{"_id": "p", "title": "", "text": "an answer"}\n')
    (tmp_path / "data/support/queries.jsonl").write_text('{"_id": "q", "text": "a question"}\n')
    (tmp_path / "data/support/qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tp\t1\n")
    return tmp_path


def run(*arguments):
    main(["init", *arguments])


def test_what_is_written_can_be_read_and_run(folder, monkeypatch, capsys):
    run("mine", "--from", "data", "--base", "org/e5-small-v2", "--instruction", f"faq={INSTRUCTION}")
    said = capsys.readouterr().out
    monkeypatch.chdir(folder / "mine")
    file = folder / "mine/config.yaml"
    jobs = start.read(start.values_of(file), folder, [file])
    assert start.unusable(jobs, folder) == ([], [])
    faq, tickets = jobs.tasks["faq"], jobs.tasks["tickets"]
    assert (faq.held_out, faq.dev, faq.instruction) == (40, 20, [INSTRUCTION])
    assert (tickets.held_out, tickets.dev, tickets.source.reader) == (6, 3, "table")
    assert faq.source.path == str(folder / "data/faq.jsonl") and faq.expected_rows.queries == 400
    assert set(jobs.tests.chosen) >= {"support", "tickets_dev"}
    assert jobs.config.dev == ["dev_rows", "tickets_dev"] and jobs.config.benchmarks == ["in_domain", "support"]
    (model,) = jobs.config.models
    assert (model.base, model.prompts.query, jobs.config.mining.encode.model) == (
        *("org/e5-small-v2", "query: ", "org/e5-small-v2"),
    )
    rows = 400 - 60 + 60 - 9
    assert jobs.config.training.steps == max(40, 2 * rows // 32)
    assert "faq: 400 rows of " in said and "40 held out for results, 20 for choices" in said
    assert "left out: data/notes.txt: no data that a reader knows" in said
    assert "left out: data/few.jsonl: 3 rows are too few to learn from" in said
    assert said.index("cd mine && tdro doctor config.yaml") < said.index("snakemake --cores all --snakefile ")


def test_data_below_the_project_are_named_as_seen_from_it_and_the_base_by_language(folder, monkeypatch):
    run(".", "--from", "data")
    assert "path: data/faq.jsonl" in (folder / "registry.yaml").read_text()
    assert "base: &base BAAI/bge-small-en-v1.5" in (folder / "config.yaml").read_text()


def test_a_model_in_a_folder_is_named_as_a_whole(folder):
    (folder / "models/ours").mkdir(parents=True)
    run("mine", "--from", "data", "--base", "models/ours")
    text = (folder / "mine/config.yaml").read_text()
    assert f"base: &base {folder}/models/ours" in text and "- name: ours\n" in text


@pytest.mark.parametrize("taken", ["registry.yaml", "config.yaml"])
def test_nothing_is_overwritten(folder, taken):
    (folder / "mine").mkdir()
    (folder / "mine" / taken).write_text("mine")
    with pytest.raises(SystemExit) as end:
        run("mine", "--from", "data")
    assert f"mine/{taken} is there already, and is not overwritten; name another folder." in end.value.code
    assert [path.name for path in (folder / "mine").iterdir()] == [taken]
    assert (folder / "mine" / taken).read_text() == "mine"


def test_a_terminal_is_asked_what_no_option_says(folder, monkeypatch):
    answers = {"Which folder": "data", "faq:": INSTRUCTION, "Which model": "org/own"}
    asked = []

    def answer(question):
        asked.append(question)
        return next((said for start_, said in answers.items() if question.startswith(start_)), "")

    monkeypatch.setattr(questions, "can_ask", lambda: True)
    monkeypatch.setattr(questions, "_read", answer)
    run("mine")
    assert INSTRUCTION in (folder / "mine/registry.yaml").read_text()
    assert "org/own" in (folder / "mine/config.yaml").read_text()
    assert len(asked) == 6  # the folder, four datasets, the model
    asked.clear()
    run("other", "--from", "data", "--base", "org/own", "--instruction", f"faq={INSTRUCTION}")
    assert not asked
