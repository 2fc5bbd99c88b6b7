"""Paths as people write them: a home is expanded wherever a path is read, what only a shell knows is refused."""

import json

import pytest
from reading import items

from tdro.config.commands import PrepareJob
from tdro.config.data import Dedup
from tdro.config.registry import Source
from tdro.config.schema import Config
from tdro.config.sections import parse, settings
from tdro.data.prepare import prepare_task
from tdro.errors import UserError
from tdro.pipeline.start import read
from tdro.readers.testsets.base import open_testset

ROW = json.dumps({"query": "a question", "positive": "its answer"}) + "\n"
ENTRY = {"language": "en", "instruction": "Find it."}
CONFIG = {
    "registry": "r.yaml",
    "benchmarks": ["in_domain"],
    "models": [{"name": "m", "base": "./base"}],
    "proxy": "m",
    "mixtures": ["uniform"],
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    (home / "rows.jsonl").write_text(ROW)
    return home


@pytest.mark.parametrize("reader", ["jsonl", "released", "table"])
@pytest.mark.parametrize("path", ["~/rows.jsonl", "~/*.jsonl", "~"])
def test_every_reader_expands_a_home(home, reader, path):
    (row,) = items(reader, path)
    assert row.query == "a question"


@pytest.mark.parametrize(("reader", "part"), [("beir", None), ("mkqa", None), ("miracl", None), ("beir", "nq")])
def test_benchmarks_expand_a_home(home, reader, part):
    folder = home / "data" / (part or "")
    (folder / "qrels").mkdir(parents=True)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "mkqa.jsonl", "topics-dev.tsv", "docs-0.jsonl"):
        (folder / name).touch()
    testset = open_testset(Source(reader=reader, path="~/data/{part}" if part else "~/data"), part)
    found = [*testset.corpus_files(), *testset.query_files()]
    assert found and all(file.is_relative_to(home) for file in found)


def test_a_job_of_the_command_line_expands_a_home(home, tmp_path):
    job = settings(PrepareJob, "{task: {source: {reader: jsonl, path: ~/rows.jsonl}}}")
    prepare_task("t", job.task, job.data, tmp_path / "out")
    (home / "job.yaml").write_text("{task: {source: {reader: jsonl, path: ~/rows.jsonl}}}")
    assert settings(PrepareJob, "@~/job.yaml") == job


def test_files_of_the_configuration_expand_a_home(home):
    registry = {
        "tasks": {
            "faq": ENTRY | {"category": "web", "held_out": 1, "source": {"reader": "jsonl", "path": "~/rows.jsonl"}}
        }
    }
    (home / "r.yaml").write_text(json.dumps(registry))
    (home / "w.json").write_text('{"domain_weights": {"faq": 1.0}, "size": {"faq": 9}}')
    (home / "q.txt").write_text("a question\n")
    root = home / "root"
    (root / "config/accelerate").mkdir(parents=True)
    for name in ("cpu", "auto"):
        (root / f"config/accelerate/{name}.yaml").touch()
    values = CONFIG | {"registry": "~/r.yaml", "weights": {"w": "~/w.json"}, "dedup": {"queries": ["~/q.txt"]}}
    jobs = read(values, root)
    assert jobs.weights_file("w") == home / "w.json"
    assert jobs.dedup().queries == [str(home / "q.txt")]
    assert jobs.prepare("faq").task.source.path == str(home / "rows.jsonl")
    (home / "w.json").rename(home / "{w}.json")
    with pytest.raises(UserError, match=r"`weights.w`: .* has braces"):
        read(values | {"weights": {"w": "~/{w}.json"}}, root)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("$DATA/rows.jsonl", r"has a variable, `\$DATA`"),
        ("data/${DATA}.jsonl", r"has a variable, `\$\{DATA\}`"),
        ("%USERPROFILE%/rows.jsonl", "has a variable"),
        ("https://example.org/rows.jsonl", "is an address"),
        ("s3://bucket/rows.jsonl", "is an address"),
        ("file:///data/rows.jsonl", "is an address"),
        ("~nobody-of-that-name/rows.jsonl", "a user whom there is not"),
    ],
)
def test_what_only_a_shell_knows_is_refused(home, path, said):
    with pytest.raises(UserError, match=rf"r\.yaml: `path`: .*{said}"):
        parse(Source, {"reader": "jsonl", "path": path}, "r.yaml")
    with pytest.raises(UserError, match=rf"`queries.0`: .*{said}"):
        parse(Dedup, {"queries": [path]}, "config")
    with pytest.raises(UserError, match=rf"`weights.w`: .*{said}"):
        parse(Config, CONFIG | {"weights": {"w": path}}, "config")
    with pytest.raises(UserError, match=rf"`registry`: .*{said}"):
        parse(Config, CONFIG | {"registry": path}, "config")


def test_a_variable_in_a_model_is_refused():
    models = [{"name": "m", "base": "$HOME/base"}]
    with pytest.raises(UserError, match=r"`models.0.base`: .* has a variable, `\$HOME`"):
        parse(Config, CONFIG | {"models": models}, "config")


def test_names_with_signs_are_names(home):
    for name in ("price $.jsonl", "100%.jsonl", "a~b.jsonl", "US$5.jsonl"):
        (home / name).write_text(ROW)
        assert len(items("jsonl", home / name)) == 1
