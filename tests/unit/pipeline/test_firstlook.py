"""Local files are looked at before any job: a wrong path, a wrong column, a base that cannot be one."""

import gzip
import json
import struct
from pathlib import Path

import pytest

from tdro.config.registry import Registry
from tdro.config.schema import Config
from tdro.pipeline.firstlook import complaints, oddities, of_settings

ENTRY = {"language": "en", "instruction": "Find it."}
ROW = json.dumps({"query": "a question", "positive": "its answer"}) + "\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with data in several formats and a model's files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/faq.jsonl").write_text(ROW)
    (tmp_path / "data/t.csv").write_text("question,answer\nwhere,there\n")
    beir = tmp_path / "data/beir"
    (beir / "qrels").mkdir(parents=True)
    (beir / "corpus.jsonl").write_text('{"_id": "p", "title": "", "text": "answer"}\n')
    (beir / "queries.jsonl").write_text('{"_id": "q", "text": "question"}\n')
    (beir / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tp\t1\n")
    model(tmp_path / "base", {})
    return tmp_path


def model(folder, config):
    """The files of a model without a tensor."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")


def look(source=None, benchmark=None, **config):
    """What is said of a task of that source, or of a benchmark, and whether its data may be to come."""
    task = ENTRY | {"category": "web", "source": source or {"reader": "jsonl", "path": "data/faq.jsonl"}}
    task["negatives"] = "provided" if "mining" not in config else "mined"
    registry = Registry(tasks={"faq": task}, benchmarks={"web": ENTRY | benchmark} if benchmark else {})
    values = {"registry": "r.yaml", "benchmarks": ["web"], "models": [{"name": "m", "base": "./base"}], "proxy": "m"}
    return list(complaints("r.yaml", registry.tasks, registry.benchmarks, Config(**values | config)))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            {"reader": "jsonl", "path": "data/fqa.jsonl"},
            "nothing lies at data/fqa.jsonl (did you mean 'data/faq.jsonl'?)",
        ),
        ({"reader": "jsonl", "path": "data/fqa/x.jsonl"}, "nothing lies at data/fqa/x.jsonl"),
        ({"reader": "jsonl", "path": "fqa.jsonl"}, "nothing lies at fqa.jsonl"),
        (
            {"reader": "table", "path": "data/*.parquet", "columns": {"query": "q", "positive": "p"}},
            "nothing lies at data/*.parquet",
        ),
        ({"reader": "table", "path": "data/t.csv", "columns": {"query": "query", "positive": "answer"}}, "'query'"),
        ({"reader": "jsonl", "path": "data/t.csv"}, "data/t.csv, line 1"),
        ({"reader": "beir", "path": "data/bier"}, "nothing lies at data/bier (did you mean 'data/beir'?)"),
    ],
)
def test_a_task_that_cannot_be_read_is_told_with_its_name(folder, source, said):
    ((line, to_come),) = look(source)
    assert line.startswith("r.yaml: faq: ") and said in line
    assert not to_come


def test_a_folder_that_is_not_there_at_all_may_be_still_to_come(folder):
    ((line, to_come),) = look({"reader": "jsonl", "path": "downloads/faq.jsonl"})
    assert "nothing lies at downloads/faq.jsonl" in line and to_come


@pytest.mark.parametrize(
    ("benchmark", "said"),
    [
        ({"source": {"reader": "beir", "path": "data/bier"}}, "nothing lies at data/bier"),
        ({"source": {"reader": "beir", "path": "data"}}, "data holds no queries or judgements"),
        ({"source": {"reader": "beir", "path": "data/{part}"}, "parts": ["beir", "nq"]}, "nothing lies at data/nq"),
        ({"source": {"reader": "mkqa", "path": "data/mqka"}, "parts": ["ar"]}, "nothing lies at data/mqka"),
        ({"source": {"reader": "jsonl", "path": "data/t.csv"}}, "data/t.csv, line 1"),
    ],
)
def test_a_benchmark_that_cannot_be_read_is_told_with_its_name(folder, benchmark, said):
    ((line, to_come),) = look(benchmark=benchmark)
    assert line.startswith("r.yaml: web: ") and said in line
    assert not to_come


def test_what_can_be_read_or_lies_elsewhere_is_not_complained_of(folder):
    (folder / "data/one.jsonl.gz").write_bytes(gzip.compress(ROW.encode()))
    assert look(benchmark={"source": {"reader": "beir", "path": "data/beir"}}) == []
    assert look({"reader": "jsonl", "path": "data/one.jsonl.gz"}) == []
    assert look({"reader": "jsonl", "hub": "org/data", "path": "rows.jsonl"}) == []
    assert look({"reader": "zh_riddle", "package": "some==1.0"}) == []
    assert look({"reader": "table", "path": "data/*.csv", "columns": {"query": "question", "positive": "answer"}}) == []


def test_a_bad_row_among_good_ones_is_left_to_preparation(folder):
    (folder / "data/faq.jsonl").write_text("no JSON\n" + ROW)
    assert look() == []


def test_models_that_cannot_be_one_are_told(folder):
    models = [{"name": "m", "base": "./base"}, {"name": "n", "base": "./none"}]
    assert look(models=models) == [
        ("config: ./none holds no model: expected a folder with config.json; correct the path.", False)
    ]
    (folder / "base/model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    ((line, _),) = look()
    assert line.startswith("config: base/model.safetensors cannot be read: it is a Git LFS pointer")


def test_an_instruction_that_fills_the_query_is_told_of_tasks_and_benchmarks(folder):
    """By the base's own tokenizer, here one that knows no word: each letter is a token."""
    from tinymodels import byte_tokenizer

    byte_tokenizer().save_pretrained(folder / "base")
    (folder / "base/config.json").write_text('{"model_type": "llama"}')
    benchmark = {"source": {"reader": "jsonl", "path": "data/faq.jsonl"}}
    assert look(benchmark=benchmark) == []
    ((line, to_come),) = look(encoding={"query_length": 16})
    assert line.startswith("config: faq: the instruction 'Find it.' takes 25 tokens, encoding.query_length is 16")
    assert not to_come
    (folder / "base/tokenizer.json").write_text("{}")
    assert "tokenizer.json cannot be read as a tokenizer" in look()[0][0]


def test_the_miner_and_the_rescorer_are_looked_at_where_they_are_used(folder):
    mining = {"encode": {"model": "./no-miner"}, "rescore": {"model": "./no-judge"}}
    lines = [line for line, _ in look(mining=mining)]
    assert [line.split(" holds")[0] for line in lines] == ["config: ./no-miner", "config: ./no-judge"]


def test_launch_configurations_and_profiles_say_a_thing_once_too(tmp_path):
    for name in ("config/accelerate/ddp.yaml", "profiles/default/config.yaml", "slurm/config.yaml"):
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        file.write_text("set-resources:\n  train: {gpu: 1}\n  train: {gpu: 2}\n")
    said = [line.removeprefix(f"{tmp_path}/") for line in of_settings(tmp_path)]
    assert [line.split(",")[0] for line in said] == [
        *("config/accelerate/ddp.yaml", "profiles/default/config.yaml", "slurm/config.yaml")
    ]
    assert all("line 3: `train` stands here a second time, after line 2" in line for line in said)


def test_the_projects_own_launch_configurations_and_profiles_are_right():
    assert list(of_settings(Path(__file__).parents[3])) == []


@pytest.mark.parametrize("answer", ["question {}", "Question {}!", "an answer to {}"])
def test_positives_that_repeat_their_queries_are_told(folder, answer):
    rows = [{"query": f"question {n}", "positive": answer.format(n)} for n in range(30)]
    (folder / "data/faq.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"reader": "jsonl", "path": "data/faq.jsonl"}
    tasks = Registry(tasks={"faq": ENTRY | {"category": "web", "source": source}}).tasks
    lines = list(oddities("r.yaml", tasks))
    if answer.startswith("an"):
        assert lines == []
    else:
        assert [line.split(";")[0] for line in lines] == [
            "r.yaml: faq: the first 20 positives all say the same as their query"
        ]


def test_first_rows_that_look_like_markup_are_told(folder):
    rows = [{"query": f"question {n}", "positive": f"<p>answer {n}</p>"} for n in range(30)]
    (folder / "data/faq.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"reader": "jsonl", "path": "data/faq.jsonl"}
    tasks = {n: ENTRY | {"category": "web", "source": source | own} for n, own in (("a", {}), ("b", {"clean": "html"}))}
    (line,) = oddities("r.yaml", Registry(tasks=tasks).tasks)
    assert line.startswith(
        "r.yaml: a: 50% of the first 40 texts look like HTML, such as '<p>answer 0</p>'; `clean: html`"
    )


def test_files_of_queries_and_judgements_that_are_something_else_are_told(folder):
    (folder / "data/q.txt").write_bytes("a question\n".encode("utf-16"))
    ((line, _),) = look(dedup={"queries": ["data/q.txt"]})
    assert line.startswith("config: `dedup.queries`: data/q.txt cannot be read: it is text in UTF-16")
    benchmark = {"source": {"reader": "beir", "path": "data/beir"}}
    for name in ("queries.jsonl", "qrels/test.tsv", "corpus.jsonl"):
        file = folder / "data/beir" / name
        content = file.read_bytes()
        file.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
        ((line, _),) = look(benchmark=benchmark)
        assert f"{name} cannot be read: it is a Git LFS pointer" in line
        file.write_bytes(content)
