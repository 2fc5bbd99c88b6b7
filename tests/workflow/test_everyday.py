"""Snakemake as it is typed: what runs no job, after a kill, after a change of the data. Nothing is trained here."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from running import ROOT, command, environment, rules_to_run, snakemake
from waits import waiting

pytestmark = pytest.mark.workflow

PREPARE = ("--until", "prepare_task")
ROW = '{{"query": "what is {n}", "positive": "it is {n} of {name}", "negatives": ["no {n}", "not {n}", "never {n}"]}}\n'


def rows(name, count=12):
    return "".join(ROW.format(n=n, name=name) for n in range(count))


@pytest.fixture(scope="module")
def prepared(tiny_base, tmp_path_factory):
    """A folder in which two tasks are prepared, one of them from a folder of parts."""
    folder = tmp_path_factory.mktemp("everyday")
    (folder / "faq.jsonl").write_text(rows("faq"))
    (folder / "parts").mkdir()
    for part in ("a", "b"):
        (folder / "parts" / f"{part}.jsonl").write_text(rows(part))
    entry = {"language": "en", "category": "toy", "instruction": "Find it.", "negatives": "provided"}
    columns = {name: name for name in ("query", "positive", "negatives")}
    tasks = {
        "faq": entry | {"source": {"reader": "jsonl", "path": "faq.jsonl"}, "held_out": 1},
        "parts": entry | {"source": {"reader": "table", "path": "parts", "columns": columns}},
    }
    (folder / "registry.yaml").write_text(yaml.safe_dump({"tasks": tasks}))
    config = {
        "registry": "registry.yaml",
        "benchmarks": ["in_domain"],
        "models": [{"name": "tiny", "base": str(tiny_base)}],
        "proxy": "tiny",
        "seeds": [1],
        "mixtures": ["uniform"],
        "mining": {"encode": {"model": str(tiny_base)}},
        "training": {"steps": 2, "batch_size": 4, "warmup_steps": 0},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    snakemake(folder, *PREPARE)
    return folder


@pytest.fixture
def project(prepared, tmp_path):
    """A copy of that folder, with the times of its files, for a test that changes it."""
    shutil.copytree(prepared, tmp_path / "project")
    return tmp_path / "project"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--unlock"], "Unlocked working directory"),
        (["--summary"], "results/data/faq/corpus.parquet"),
        (["--detailed-summary"], "results/data/faq/corpus.parquet"),
        (["--dag"], "digraph snakemake_dag"),
        (["--rulegraph"], "digraph snakemake_dag"),
        (["--filegraph"], "digraph snakemake_dag"),
        (["--d3dag"], '"nodes"'),
        (["--list-changes", "params"], ""),
        (["--list-changes", "code"], ""),
        (["--list-changes", "input"], ""),
        (["--list-untracked"], "registry.yaml"),
        (["--delete-all-output", "--dry-run"], "results/data/faq/corpus.parquet"),
        (["--delete-temp-output", "--dry-run"], ""),
        (["--cleanup-metadata", "results/data/faq/corpus.parquet"], ""),
        (["--cleanup-shadow"], ""),
        (["--list-rules"], "prepare_task"),
        (["--list-target-rules"], "packages"),
        (["--lint"], "in a good condition"),
        (["--print-compilation"], "__rule_"),
        (["--dry-run"], "dry-run"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_runs_no_job_needs_no_cores(project, arguments, expected):
    output = snakemake(project, *arguments, cores=None)
    assert expected in output
    assert "Traceback" not in output


def test_the_archive_fails_for_want_of_conda_alone(project):
    line = command(project, "--archive", "archive.tar.gz", cores=None)
    found = subprocess.run(line, capture_output=True, text=True, env=environment(project), cwd=project)
    assert found.returncode == 0 or "conda" in found.stderr
    assert "total number of cores" not in found.stderr


def put_in_place(place, text):
    """Another file takes the place of this one, as ``mv`` of an old file does."""
    other = place.with_name("other")
    other.write_text(text)
    os.utime(other, (1, 1))
    other.rename(place)


def test_only_the_task_whose_data_was_replaced_by_an_older_file_is_prepared_again(project):
    assert rules_to_run(project, *PREPARE) == set()
    put_in_place(project / "faq.jsonl", rows("another"))
    output = snakemake(project, *PREPARE)
    assert "Preparing task faq" in output
    assert "Preparing task parts" not in output
    assert rules_to_run(project, *PREPARE) == set()


def test_a_part_that_goes_or_is_replaced_prepares_its_task_again(project):
    kept = (project / "parts/b.jsonl").read_text()
    put_in_place(project / "parts/b.jsonl", kept.replace("never", "nowhere"))
    assert rules_to_run(project, *PREPARE) == {"prepare_task"}
    put_in_place(project / "parts/b.jsonl", kept)
    assert rules_to_run(project, *PREPARE) == set()
    (project / "parts/b.jsonl").unlink()
    assert rules_to_run(project, *PREPARE) == {"prepare_task"}


@pytest.mark.thorough
def test_names_of_any_bytes_are_data_like_others(project):
    """Those of an old archive in Latin-1, and such as Snakemake would take for wildcards."""
    for name in (b"caf\xe9.jsonl", b"{x}.jsonl", b"two 'words'\n.jsonl"):
        place = Path(os.fsdecode(bytes(project / "parts") + b"/" + name))
        place.write_text(rows(str(len(name))))
        assert rules_to_run(project, *PREPARE) == {"prepare_task"}
        snakemake(project, *PREPARE)
        assert rules_to_run(project, *PREPARE) == set()
    place.write_text(rows("another"))
    assert rules_to_run(project, *PREPARE) == {"prepare_task"}


def test_a_small_file_that_is_only_touched_prepares_nothing(project):
    (project / "faq.jsonl").touch()
    assert rules_to_run(project, *PREPARE) == set()


def test_one_job_for_all_has_nothing_to_encode_where_no_task_is_mined(project):
    rules = rules_to_run(project, "--config", "jobs=one")
    assert {"evaluate", "train"} < rules and not {"encode", "search", "select", "prepare_task"} & rules


@pytest.fixture
def killed(project):
    """A run whose jobs wait, so that it has not ended before it is killed, however fast the machine is."""
    waits = waiting(project / "waits", "tdro.data.prepare:prepare_task", 1, 1)
    line = command(project, *PREPARE, "--forceall")
    with (project / "run.txt").open("w") as log:
        run = subprocess.Popen(line, env=environment(project) | waits, cwd=project, stdout=log, stderr=log)
    while not (project / "waits/waits-1").exists() and run.poll() is None:
        time.sleep(0.05)
    assert run.poll() is None, (project / "run.txt").read_text()
    yield project, run
    (project / "waits/go").touch()
    run.wait()


def kill(project, run):
    """End a run as a machine's failure does; its jobs go on and end by themselves."""
    run.send_signal(signal.SIGKILL)
    run.wait()
    (project / "waits/go").touch()
    wait_for_jobs(project)


def unlock(folder):
    line = [sys.executable, ROOT / "workflow/scripts/unlock.py", folder]
    return subprocess.run(line, capture_output=True, text=True, env=environment(folder) | {"PYTHONPATH": str(ROOT)})


def wait_for_jobs(folder):
    from tdro.pipeline.killed import orphans

    while orphans(folder):
        time.sleep(0.05)


def test_a_killed_run_goes_on_with_the_command_that_its_message_names(killed):
    project, run = killed
    answer = snakemake(project, *PREPARE, "--forceall", check=False)
    assert f"a run still goes on there (process {run.pid})" in answer
    kill(project, run)
    answer = snakemake(project, *PREPARE, check=False)
    assert "was killed; no process of this machine works in it any more" in answer
    assert "Traceback" not in answer
    typed = shlex.split(re.search(r"^    (.* --unlock .*)$", answer, re.MULTILINE)[1])
    assert typed[0] == "snakemake"
    typed[:1] = [sys.executable, "-m", "snakemake"]
    subprocess.run(typed, env=environment(project), cwd=project, check=True, capture_output=True)
    assert "Preparing task faq" in snakemake(project, *PREPARE)
    assert rules_to_run(project, *PREPARE) == set()


def test_make_unlocks_what_a_kill_has_left_and_nothing_else(killed):
    project, run = killed
    answer = unlock(project)
    assert answer.returncode == 1
    assert "a run still goes on" in answer.stderr
    kill(project, run)
    assert "is unlocked" in unlock(project).stdout
    assert "Preparing task faq" in snakemake(project, *PREPARE)


def test_the_recipes_that_run_the_workflow_unlock_its_folder_first():
    recipes = ["make", "--no-print-directory", "-n", "-o", ".venv/installed", "demo", "demo-llm", "study"]
    lines = subprocess.run(recipes, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    studies = [line for line in lines if "tdro study" in line]  # which unlocks by itself
    lines = [line for line in lines if line not in studies]
    assert (len(lines), len(studies)) == (4, 3)
    for first, run in zip(lines[::2], lines[1::2], strict=True):
        folder = re.search(r"snakemake --cores all(?:.* --directory (\w+))?", run)[1]
        assert first.split()[1:] == ["workflow/scripts/unlock.py", *([folder] if folder else [])]


def test_the_screen_is_a_line_a_job_and_reasons_are_in_snakemakes_log(project):
    output = snakemake(project, *PREPARE, "--forceall")
    assert re.search(r"^\d\d:\d\d:\d\d \[0 of 2 done, about \d+ s left\] Preparing task faq$", output, re.MULTILINE)
    assert "Reason:" not in output
    assert "rows read: 12" not in output
    assert "rows read: 12" in (project / "logs/prepare_task/faq.log").read_text()
    (log,) = re.findall(r"Complete log\(s\): (\S+)", output)
    assert "Reason: Forced execution" in Path(log).read_text()


def test_a_failed_job_is_told_with_the_sentence_and_the_place_of_its_log(project):
    (project / "faq.jsonl").write_text(rows("faq") + "no json\n")
    output = snakemake(project, *PREPARE, check=False)
    assert "(rule prepare_task).\nIts log, logs/prepare_task/faq.log, says:\ntdro prepare: error: task faq" in output
    assert "set -euo pipefail" not in output
    assert len(output) < 2000


@pytest.mark.parametrize("option", ["--verbose", "--printshellcmds", "--dry-run"])
def test_who_asks_for_more_sees_snakemakes_own_screen(project, option):
    assert "Reason: Forced execution" in snakemake(project, *PREPARE, "--forceall", option)
