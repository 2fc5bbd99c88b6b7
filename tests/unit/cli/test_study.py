"""What `tdro study` hands to Snakemake and prints; the run itself is tested with the workflow."""

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from toyjobs import CONFIG, REGISTRY

from tdro.cli.main import main


@pytest.fixture
def asked(tmp_path, monkeypatch, tiny_base):
    """Runs a study with a stand-in for processes; gives its command lines."""
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    shutil.copytree(tiny_base, tmp_path / "mine/base")
    (tmp_path / "mine/a.jsonl").write_text('["a question", "its answer"]\n')
    (tmp_path / "mine/registry.yaml").write_text(REGISTRY.replace("category", "dev: 1, category"))
    (tmp_path / "mine.yaml").write_text(f"{CONFIG}dev: [dev_rows]\nmining: {{encode: {{model: ./base}}}}\n")
    lines, status = [], {"snakemake": 0}

    def run(line, plainly=subprocess.run, **keywords):
        if keywords:  # what the machine is like
            return plainly(line, **keywords)
        lines.append(line)
        return SimpleNamespace(returncode=0)

    def snakemake(line):
        lines.append(line)
        return status["snakemake"]

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("tdro.cli.study.run", snakemake)

    def study(*arguments, ends=0):
        status["snakemake"] = ends
        lines.clear()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as end:
            main(["study", *arguments])
        return end.value.code, [*lines]

    return study


def test_changes_and_further_arguments_reach_snakemake_in_the_folder(asked, tmp_path, capsys):
    code, (unlock, run) = asked(
        *("mine.yaml", "--directory", "mine", "--mixtures", "uniform", "top70", "--seeds", "3", "4"),
        *("--config", "tdro={rows: same}", "--set-threads", "train=1"),
    )
    assert code == 0 and Path.cwd() == tmp_path / "mine" and unlock[-1].endswith("workflow/scripts/unlock.py")
    assert run[2:4] == ["snakemake", "study"] and run[run.index("--configfile") + 1] == str(tmp_path / "mine.yaml")
    changed = dict(one.split("=", 1) for one in run[run.index("--config") + 1 : run.index("--cores")])
    assert {key: json.loads(value) for key, value in changed.items()} == {
        "tdro": {"rows": "same"},
        "mixtures": ["uniform", "top70"],
        "seeds": [3, 4],
    }
    assert run[run.index("--cores") :] == ["--cores", "all", "--set-threads", "train=1"]
    shown = capsys.readouterr().out
    assert "| dev_scores " in shown and "| train " in shown  # the forecast


def test_cores_that_are_named_are_all_that_is_asked_for(asked):
    _, (_, run) = asked("mine.yaml", "--directory", "mine", "--cores", "2")
    assert run[-2:] == ["--cores", "2"] and run.count("--cores") == 1
    assert "--config" not in run


@pytest.mark.parametrize(("arguments", "ends", "printed"), [((), 0, True), (("-n",), 0, False), ((), 1, False)])
def test_the_table_is_printed_when_a_run_has_made_it(asked, tmp_path, capsys, arguments, ends, printed):
    (tmp_path / "mine/results/report").mkdir(parents=True)
    (tmp_path / "mine/results/report/study.txt").write_text("the table\n")
    code, _ = asked("mine.yaml", "--directory", "mine", *arguments, ends=ends)
    assert code == ends and capsys.readouterr().out.endswith("the table\n") == printed


def test_what_is_missing_is_a_sentence(asked, tmp_path):
    assert "name a configuration" in asked()[0]
    (tmp_path / "mine.yaml").write_text(f"{CONFIG}mining: {{encode: {{model: ./base}}}}\n")
    code, lines = asked("mine.yaml", "--directory", "mine")
    assert "write `dev: [dev_rows]` there and `dev: 100` for each task of registry.yaml" in code and not lines
    code, _ = asked("--compare", "one", "two")
    assert "recommendation.json" in code
