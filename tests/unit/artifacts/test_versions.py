"""What made a result: read in copies of the package that are changed, by a process of their own."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tdro.artifacts import versions
from tdro.artifacts.versions import Version, difference, note, noted, outputs

ROOT = Path(__file__).parents[3]
READ = """
import json, sys
from tdro.cli.main import COMMANDS
from tdro.artifacts import versions
modules = ("training.train", "dro.reference", "dro.optimize", "mining.encode", "evaluation.search_corpus")
stages = {name.rpartition(".")[2]: versions.of_stage(f"tdro.{name}") for name in modules}
found = stages | {f"command {name}": versions.of_command(command.run) for name, command in COMMANDS.items()}
assert "torch" not in sys.modules
print(json.dumps({name: version.code for name, version in found.items()}))
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package."""
    shutil.copytree(ROOT / "tdro", tmp_path / "tdro", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "tdro"


@cache
def unchanged():
    """Of the package as it is."""
    return codes(ROOT / "tdro")


def codes(package):
    environment = os.environ | {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", READ]
    answer = subprocess.run(command, env=environment, cwd=package.parent, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.mark.parametrize(
    ("module", "changed", "kept"),
    [
        ("training/losses.py", {"train", "optimize", "command train"}, {"encode", "command dedup", "command prepare"}),
        ("text/strings.py", {"train", "encode", "command prepare"}, {"command search", "command derive"}),
        ("mixtures/weights.py", {"train", "optimize", "command derive"}, {"command prepare", "encode"}),
        ("readers/jsonl.py", {"command prepare"}, {"train", "command search"}),  # loaded by its name
        (
            "readers/testsets/miracl.py",
            {"command prepare-corpus", "command prepare-queries"},
            {"train", "command prepare"},
        ),
        ("cli/training.py", set(), {"train", "optimize"}),
        ("config/training.py", set(), {"train", "command dedup"}),
    ],
)
def test_a_change_of_a_module_is_one_of_the_stages_that_import_it(package, module, changed, kept):
    before = unchanged()
    file = package / module
    file.write_text(file.read_text() + "\nANOTHER = 1\n")
    after = codes(package)
    assert {name for name in changed if before[name] == after[name]} == set()
    assert {name for name in kept if before[name] != after[name]} == set()


def test_comments_docstrings_and_what_a_schema_says_change_nothing_and_a_page_does(package):
    before = unchanged()
    for module in package.rglob("*.py"):
        text = module.read_text()
        start = text.index('"""', 3) + 4
        said = text[start:].replace('says="', 'says="In other words: ')
        module.write_text(f'"""Said otherwise."""\n{said}\n# as it was\n')
    assert codes(package) == before
    page = package / "report/report.html.j2"
    page.write_text(page.read_text() + "<hr>")
    after = codes(package)
    assert {name for name in before if before[name] != after[name]} >= {"command report"}
    assert before["command prepare"] == after["command prepare"]


def test_the_code_of_a_command_is_part_of_it(package):
    before = unchanged()
    file = package / "cli/training.py"
    file.write_text(file.read_text().replace("read_settings(options, PlanJob)", "read_settings(options, PlanJob) or 1"))
    after = codes(package)
    # What a shell completes follows from the options of all commands.
    assert {name for name in before if before[name] != after[name]} == {"command plan", "command completion"}


def test_libraries_are_those_that_a_stage_reaches():
    libraries = versions.of_stage("tdro.training.train").libraries
    assert {"torch", "transformers", "sentence_transformers", "accelerate", "peft"} <= libraries.keys()
    assert "faiss" in versions.of_stage("tdro.mining.search").libraries
    assert "jieba" in versions.of_stage("tdro.data.dedup").libraries
    assert "torch" not in versions.of_stage("tdro.data.dedup").libraries
    assert all("+" not in found for found in libraries.values())


def test_versions_differ_in_words():
    made = Version("a", {"torch": "2.12.0", "peft": "0.1", "faiss": "1.0"})
    now = Version("b", {"torch": "2.13.0", "peft": "0.1", "faiss": None})
    assert difference(made, now) == ["the code", "torch 2.12.0 (now 2.13.0)"]
    assert difference(made, now, libraries=False) == ["the code"]
    assert difference(made, made) == []


def test_an_output_made_again_is_noted_under_its_new_version_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notes, old, new = Path("results/.versions"), Version("a", {}), Version("b", {})
    Path("results").mkdir()
    for name in ("x", "y"):
        Path(f"results/{name}").touch()
        note(notes, "train", old, Path(f"results/{name}"))
    note(notes, "train", new, Path("results/x"))
    note(notes, "train", new, tmp_path / "elsewhere")
    note(notes, "train", new, Path("../elsewhere"))
    found = {version.code: list(outputs(folder)) for _, version, folder in noted(notes)}
    assert found == {"a": ["results/y"], "b": ["results/x"]}
    Path("results/y").unlink()
    assert {version.code: list(outputs(folder)) for _, version, folder in noted(notes)} == {"a": [], "b": ["results/x"]}
