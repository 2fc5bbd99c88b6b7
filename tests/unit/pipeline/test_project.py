"""Whose results a folder holds, where the files of a project are looked for, and what is told before any job."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import yaml

from tdro.config.mixturenames import remarks
from tdro.errors import UserError
from tdro.pipeline.jobs import Jobs

ENTRY = {"language": "en", "instruction": "Find it."}


def task(path):
    return ENTRY | {"category": "web", "source": {"reader": "jsonl", "path": path}}


REGISTRY = {
    "tasks": {"faq": task("a.jsonl"), "code": task("b.jsonl")},
    "benchmarks": {"web": ENTRY | {"source": {"reader": "jsonl", "path": "c.jsonl"}}},
}
CONFIG = {"benchmarks": ["web"], "models": [{"name": "m", "base": "./base"}], "proxy": "m"}
NOTE = Path("results/project.json")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project's folder with local data and a base."""
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        Path(f"{name}.jsonl").write_text('["a question", "its answer"]\n["another question", "another answer"]\n')
    return tmp_path


def jobs(registry=REGISTRY, name="registry.yaml", root=ROOT, **config):
    """The jobs of a configuration with that registry."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(registry))
    return Jobs.read({**CONFIG, "registry": name, **config}, root)


def changed(**paths):
    """The registry with other files for some tasks; None takes a task out."""
    registry = copy.deepcopy(REGISTRY)
    for name, path in paths.items():
        if path is None:
            del registry["tasks"][name]
        else:
            registry["tasks"][name] = task(path)
    return registry


def claimed():
    """Results of REGISTRY."""
    jobs().claim(NOTE)
    data = Path("results/data/faq/corpus.parquet")
    data.parent.mkdir(parents=True)
    data.write_text("passages")


def test_results_of_another_registry_are_refused_with_the_way_out(folder):
    claimed()
    others = {"x": task("a.jsonl"), "y": task("b.jsonl")}
    for registry in (changed(faq="b.jsonl"), {**REGISTRY, "tasks": others}):
        other = jobs(registry, "mine.yaml")
        with pytest.raises(UserError, match=r"the registry registry\.yaml; a run with mine\.yaml .*--directory FOLDER"):
            other.claim(NOTE)
        assert any("--directory" in line for line in other.remarks(NOTE))
    assert json.loads(NOTE.read_text())["registry"] == "registry.yaml"


def test_the_same_registry_may_change_as_it_likes(folder):
    claimed()
    for registry in (changed(faq="c.jsonl"), changed(more="a.jsonl"), changed(faq=None, more="a.jsonl")):
        assert not any("--directory" in line for line in jobs(registry).remarks(NOTE))
        jobs(registry).claim(NOTE)
    assert set(json.loads(NOTE.read_text())["datasets"]) == {"code", "more", "web"}


def test_a_renamed_registry_and_a_moved_folder_are_the_same_project(folder, tmp_path_factory, monkeypatch):
    claimed()
    jobs(changed(more="c.jsonl"), "renamed.yaml").claim(NOTE)
    moved = tmp_path_factory.mktemp("moved") / "project"
    folder.rename(moved)
    monkeypatch.chdir(moved)
    jobs(changed(faq="b.jsonl"), "renamed.yaml").claim(NOTE)


def test_another_configuration_of_the_registry_may_use_the_results(folder):
    claimed()
    jobs(seeds=[1, 2], training={"steps": 3}, tasks=["faq", "code"]).claim(NOTE)


def test_a_note_beside_nothing_refuses_nothing(folder):
    claimed()
    Path("results/data/faq/corpus.parquet").unlink()
    jobs(changed(faq="b.jsonl"), "mine.yaml").claim(NOTE)
    assert json.loads(NOTE.read_text())["registry"] == "mine.yaml"


def test_a_folder_of_its_own_finds_the_projects_files(folder, monkeypatch):
    """What `--directory mine` makes of paths that are relative to the project."""
    (folder / "data").mkdir()
    for name in "ab":
        (folder / f"{name}.jsonl").rename(folder / "data" / f"{name}.jsonl")
    shutil.copytree(ROOT / "config/accelerate", folder / "config/accelerate")
    (folder / "mine").mkdir()
    monkeypatch.chdir(folder / "mine")
    Path("c.jsonl").write_text("")
    (folder / "c.jsonl").write_text("")
    (folder / "base").mkdir()
    (folder / "more.txt").write_text("a query")
    dedup = {"queries": ["more.txt"]}
    found = jobs(changed(faq="data/a.jsonl", code="data/*.jsonl"), root=folder, dedup=dedup)
    assert found.config.models[0].base == str(folder / "base")
    assert found.config.mining.encode.model == "BAAI/bge-base-en-v1.5"
    assert found.dedup().queries == [str(folder / "more.txt")]
    assert found.tasks["faq"].source.path == str(folder / "data/a.jsonl")
    assert found.tasks["code"].source.path == str(folder / "data/*.jsonl")
    assert found.benchmarks["web"].source.path == "c.jsonl"  # the working folder's own comes first


@pytest.mark.parametrize(
    ("names", "tasks", "said"),
    [
        (["uniform", "top70"], 2, ["mixture top70 keeps 1 of 2 tasks"]),
        (["uniform", "bottom30"], 4, ["mixture bottom30 keeps 1 of 4 tasks", "bottom50 keeps two"]),
        (["uniform", "top100"], 5, ["mixtures uniform and top100 are the same"]),
        (["uniform", "top70", "top99"], 3, ["mixtures top70 and top99 are the same for 3 tasks"]),
        (["uniform", "temperature1", "proportional"], 3, ["mixtures temperature1 and proportional are the same"]),
        (["uniform", "unimax2", "unimax2.0"], 3, ["mixtures unimax2 and unimax2.0 are the same"]),
    ],
)
def test_mixtures_of_one_task_and_equal_ones_are_told(names, tasks, said):
    (line,) = remarks(names, tasks)
    assert all(words in line for words in said)


def test_mixtures_that_differ_are_not_remarked_on():
    names = ["uniform", "proportional", "temperature2", "temperature3", "unimax2", "curr", "mean", "ema", "loss"]
    names += ["doremi", "top50", "top75", "bottom50", "curr@ratio-0.1", "top50@ratio-0.1", "file-a", "file-b"]
    assert list(remarks(names, 4)) == []


def test_the_remarks_of_a_configuration_name_tasks_of_one_source(folder):
    lines = jobs(changed(code="a.jsonl"), mixtures=["uniform", "top70"]).remarks(NOTE)
    assert [line.split(" ")[0] for line in lines] == ["mixture", "code"]
    assert lines[1].startswith("code and faq have the same `source`")
    assert jobs(mixtures=["uniform", "curr"]).remarks(NOTE) == []


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "config").glob("*.yaml")))
def test_the_projects_own_configurations_need_no_remark(name, tmp_path):
    values = yaml.safe_load((ROOT / "config" / name).read_text())
    assert Jobs.read(values, ROOT).remarks(tmp_path / "none.json") == []
