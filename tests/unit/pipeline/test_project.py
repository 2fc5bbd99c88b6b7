"""Whose results a folder holds, where the files of a project are looked for, and what is told before any job."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import yaml

from tdro.errors import UserError
from tdro.pipeline.project import claim
from tdro.pipeline.start import read, remarks

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
    return read({**CONFIG, "registry": name, **config}, root)


def changed(**paths):
    """The registry with other files for some tasks; None takes a task out."""
    registry = copy.deepcopy(REGISTRY)
    for name, path in paths.items():
        if path is None:
            del registry["tasks"][name]
        else:
            registry["tasks"][name] = task(path)
    return registry


def claimed_by(made):
    """Results are noted to be those of these jobs."""
    claim(NOTE, made.registry_file, made.registry)


def claimed():
    """Results of REGISTRY."""
    claimed_by(jobs())
    data = Path("results/data/faq/corpus.parquet")
    data.parent.mkdir(parents=True)
    data.write_text("passages")


def test_results_of_another_registry_are_refused_with_the_way_out(folder):
    claimed()
    others = {"x": task("a.jsonl"), "y": task("b.jsonl")}
    for registry in (changed(faq="b.jsonl"), {**REGISTRY, "tasks": others}):
        other = jobs(registry, "mine.yaml")
        with pytest.raises(UserError, match=r"the registry registry\.yaml; a run with mine\.yaml .*--directory FOLDER"):
            claimed_by(other)
        assert any("--directory" in line for line in remarks(other, NOTE))
    assert json.loads(NOTE.read_text())["registry"] == "registry.yaml"


def test_the_same_registry_may_change_as_it_likes(folder):
    claimed()
    for registry in (changed(faq="c.jsonl"), changed(more="a.jsonl"), changed(faq=None, more="a.jsonl")):
        assert not any("--directory" in line for line in remarks(jobs(registry), NOTE))
        claimed_by(jobs(registry))
    assert set(json.loads(NOTE.read_text())["datasets"]) == {"code", "more", "web"}


def test_a_renamed_registry_and_a_moved_folder_are_the_same_project(folder, tmp_path_factory, monkeypatch):
    claimed()
    claimed_by(jobs(changed(more="c.jsonl"), "renamed.yaml"))
    moved = tmp_path_factory.mktemp("moved") / "project"
    folder.rename(moved)
    monkeypatch.chdir(moved)
    claimed_by(jobs(changed(faq="b.jsonl"), "renamed.yaml"))


def test_another_configuration_of_the_registry_may_use_the_results(folder):
    claimed()
    claimed_by(jobs(seeds=[1, 2], training={"steps": 3}, tasks=["faq", "code"]))


def test_a_note_beside_nothing_refuses_nothing(folder):
    claimed()
    Path("results/data/faq/corpus.parquet").unlink()
    claimed_by(jobs(changed(faq="b.jsonl"), "mine.yaml"))
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


def test_the_remarks_of_a_configuration_name_tasks_of_one_source(folder):
    lines = remarks(jobs(changed(code="a.jsonl"), mixtures=["uniform", "top70"]), NOTE)
    assert [line.split(" ")[0] for line in lines] == ["mixture", "code"]
    assert lines[1].startswith("code and faq have the same `source`")
    assert remarks(jobs(mixtures=["uniform", "curr"]), NOTE) == []
