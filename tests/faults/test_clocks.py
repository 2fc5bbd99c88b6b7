"""Clocks that jump, and files that are seen late.

Two things stand in for what only another machine has. A clock is not set: files get the times that they would have had.
And no file system is slow: the process that writes a file ends, and the file takes its place some seconds later, as one
does that another node of a cluster has written over NFS.
"""

import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from leftovers import half_written
from records import ended
from running import snakemake
from stages import content, job_of, remove
from waits import FOLDER

pytestmark = pytest.mark.faults

NEGATIVES = "results/data/mined/negatives.parquet"
TRAIN = "results/data/mined/train.parquet"
HOUR = 3600


@pytest.fixture
def folder(whole, tmp_path):
    """A copy of the undisturbed run without the training rows of a task."""
    shutil.copytree(whole, tmp_path / "project", symlinks=True)
    remove(job_of(whole, TRAIN), tmp_path / "project")
    return tmp_path / "project"


def shift(place, seconds):
    """Let all files below a place be so much older, or younger."""
    for path in [place, *place.rglob("*")]:
        if not path.is_symlink():
            state = path.stat()
            os.utime(path, (state.st_atime + seconds, state.st_mtime + seconds))


def same(whole, folder, *files):
    for file in files:
        job = job_of(whole, file)
        assert content(job, folder) == content(job, whole)
    assert half_written(folder) == []


def test_clock_set_back(whole, folder, fault):
    fault.done(
        "all results have the time of in two hours, as after a clock was set back; then training rows are wanted"
    )
    shift(folder / "results", 2 * HOUR)
    said = snakemake(folder, TRAIN, check=False)
    assert "have a time that is yet to come" in said and "Traceback" not in said
    typed = shlex.split(re.search(r"^.*(find \S+ -newermt now -exec touch \{\} \+)", said, re.MULTILINE)[1])
    subprocess.run(typed, cwd=folder, check=True)
    said = snakemake(folder, TRAIN)
    assert "yet to come" not in said
    same(whole, folder, TRAIN)
    fault.came("the run says what to type; after that it goes on, to the same rows")


def test_clock_set_forward(whole, folder, fault):
    fault.done("all files are ten years old, as after a clock was set forward; then training rows are wanted")
    shift(folder, -10 * 365 * 24 * HOUR)
    before = ended(folder)
    snakemake(folder, TRAIN)
    assert {name for name, job in ended(folder).items() if job != before[name]} == {job_of(whole, TRAIN).outputs[0]}
    same(whole, folder, TRAIN)
    fault.came("the one job that was missing was done, and no other")


def late(monkeypatch, seconds):
    """The file of negatives takes its place so much later than its job has ended."""
    monkeypatch.setenv("PYTHONPATH", f"{FOLDER}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("TDRO_TEST_LATE", f"{Path(NEGATIVES).name}:{seconds}")


def test_file_seen_late(whole, folder, fault, monkeypatch):
    fault.done("negatives are seen two seconds after their job has ended, within Snakemake's --latency-wait")
    remove(job_of(whole, NEGATIVES), folder)
    late(monkeypatch, 2)
    snakemake(folder, TRAIN)
    same(whole, folder, NEGATIVES, TRAIN)
    fault.came("the run waits for them and goes on")


def test_file_seen_too_late(whole, folder, fault, monkeypatch):
    fault.done("negatives are seen six seconds after their job has ended, and Snakemake waits one")
    remove(job_of(whole, NEGATIVES), folder)
    late(monkeypatch, 6)
    said = snakemake(folder, TRAIN, "--latency-wait", "1", check=False)
    assert "filesystem latency" in said and "Traceback" not in said
    end = time.monotonic() + 30
    while not (folder / NEGATIVES).exists() and time.monotonic() < end:
        time.sleep(0.2)
    assert (folder / NEGATIVES).exists()
    monkeypatch.delenv("TDRO_TEST_LATE")
    snakemake(folder, TRAIN)
    same(whole, folder, NEGATIVES, TRAIN)
    fault.came("the run ends and says which option waits longer; the same command then goes on")
