"""Locks and jobs of killed runs, with processes that stand in for Snakemake and for a job."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tdro.pipeline.killed import explain_lock, is_locked, orphans, runs

ROOT = Path(__file__).parents[3]
WAIT = "import sys, time; print('here', flush=True); sys.stdin.read()"


@pytest.fixture
def locked(tmp_path):
    """A working folder that a run has locked."""
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.input.lock").write_text("rows.jsonl\n")
    return tmp_path


@pytest.fixture
def start(locked):
    """Starts a process in a folder that waits until the test has ended."""
    processes = []

    def process(*command, folder=locked, **variables):
        begun = subprocess.Popen(
            command, cwd=folder, env=os.environ | variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(begun)
        assert begun.stdout.readline() == "here\n"
        return begun

    yield process
    for begun in processes:
        begun.communicate()


def snakemake(start, folder):
    program = folder / "bin" / "snakemake"
    program.parent.mkdir(exist_ok=True)
    program.write_text(WAIT)
    return start(sys.executable, str(program), folder=folder)


def unlock(folder):
    command = [sys.executable, ROOT / "workflow/scripts/unlock.py", folder]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


def test_a_lock_without_processes_is_taken_away_by_the_script_and_explained_by_the_command(locked):
    command = ["/opt/bin/snakemake", "--cores", "all", "--config", "tdro={step_size: 0.1}"]
    assert "/opt/bin/snakemake --unlock --cores all --config 'tdro={step_size: 0.1}'\n" in explain_lock(locked, command)
    assert "is unlocked" in unlock(locked).stdout
    assert not is_locked(locked)
    assert unlock(locked).stdout == ""


def test_the_lock_of_a_living_run_stays(locked, start):
    run = snakemake(start, locked)
    assert [process.pid for process in runs(locked)] == [run.pid]
    assert f"a run still goes on there (process {run.pid})" in explain_lock(locked, ["snakemake"])
    assert unlock(locked).returncode == 1
    assert is_locked(locked)


def test_the_lock_stays_while_jobs_of_the_killed_run_go_on(locked, start):
    job = start(sys.executable, "-c", WAIT, TDRO_ROOT="/project")
    assert [process.pid for process in orphans(locked)] == [job.pid]
    assert f"kill {job.pid}" in explain_lock(locked, ["snakemake"])
    answer = unlock(locked)
    assert answer.returncode == 1
    assert str(job.pid) in answer.stderr
    assert is_locked(locked)


def test_a_job_of_a_living_run_and_other_programs_are_no_orphans(locked, start):
    program = locked / "snakemake"
    program.write_text(
        "import os, subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {WAIT!r}], env=os.environ | {{'TDRO_ROOT': '/project'}})\n"
    )
    start(sys.executable, str(program))
    start(sys.executable, "-c", WAIT)
    assert orphans(locked) == []


def test_runs_in_other_folders_are_none_of_this_one(locked, start, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    snakemake(start, elsewhere)
    start(sys.executable, "-c", WAIT, folder=elsewhere, TDRO_ROOT="/project")
    assert runs(locked) == orphans(locked) == []
    assert "is unlocked" in unlock(locked).stdout
