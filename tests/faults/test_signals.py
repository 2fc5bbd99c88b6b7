"""Ctrl-C, SIGTERM, a terminal that is closed: what runs ends in order, keeps a checkpoint, and goes on from there."""

import os
import shutil
import signal
import subprocess
import time

import pytest
from groups import Group
from leftovers import half_written
from running import command, environment, snakemake
from stages import content, job_of, remove
from tinyrun import RUN
from waits import waiting

from tdro.pipeline.killed import is_locked

pytestmark = pytest.mark.faults

MODEL = f"{RUN}/uniform/model"
CHECKPOINTS = "checkpoints/tiny/seed1/uniform"


@pytest.fixture
def folder(whole, tmp_path):
    """A copy of the undisturbed run in which a model is to be trained again."""
    shutil.copytree(whole, tmp_path / "project", symlinks=True)
    remove(job_of(whole, MODEL), tmp_path / "project")
    return tmp_path / "project"


def training(folder, **how):
    """A run that waits in the fifth step of its training, behind a checkpoint of the fourth."""
    waits = waiting(folder / "waits", "tdro.training.losses:ContrastiveLoss.forward", 5)
    run = Group(folder, MODEL, variables=waits, **how)
    run.until(lambda: (folder / "waits/waits-1").exists())
    return run


def goes_on(whole, folder):
    """The lock is gone, nothing is half-written, and the plain command goes on behind the step that was begun."""
    assert not is_locked(folder)
    assert half_written(folder) == []
    assert not (folder / MODEL).exists()
    assert sorted(path.name for path in (folder / CHECKPOINTS).glob("checkpoint-*")) == ["checkpoint-4", "checkpoint-5"]
    snakemake(folder, MODEL)
    log = (folder / "logs/train/tiny.seed1.uniform.log").read_text()
    assert f"resuming from {CHECKPOINTS}/checkpoint-5" in log
    job = job_of(whole, MODEL)
    assert content(job, folder) == content(job, whole)


SENT = {
    "sigint-alone": (lambda run: os.kill(run.process.pid, signal.SIGINT), "kill -INT of Snakemake alone"),
    "sigterm-twice": (lambda run: twice(run), "SIGTERM to all processes, and once more"),
}


def twice(run):
    run.signal(signal.SIGTERM)
    time.sleep(0.2)
    run.signal(signal.SIGTERM)


@pytest.mark.parametrize("case", SENT)
def test_a_signal_in_a_training_keeps_its_step(whole, folder, fault, case):
    send, done = SENT[case]
    fault.done(f"{done}, in a training")
    run = training(folder)
    jobs = run.members()
    send(run)
    assert run.end() != 0
    ended_with(run, jobs)
    if case != "sigterm-twice":
        assert "Stopped by Ctrl-C with" in run.said and "type the same command again to go on" in run.said
    goes_on(whole, folder)
    fault.came("the step was finished and kept, the lock gone; the same command goes on to the same model")


def ended_with(run, jobs):
    """No job outlives the run by more than the step that it ends with."""
    end = time.monotonic() + 60
    while any(job.is_running() and job.status() != "zombie" for job in jobs):
        assert time.monotonic() < end, run.said
        time.sleep(0.1)
    assert "Traceback" not in run.said


def test_sighup_closed_terminal(whole, folder, fault):
    """A real one, whose other end goes away."""
    fault.done("the terminal of a run is closed in a training")
    ours, theirs = os.openpty()
    waits = waiting(folder / "waits", "tdro.training.losses:ContrastiveLoss.forward", 5)
    run = subprocess.Popen(
        command(folder, MODEL), cwd=folder, env=environment(folder) | waits, preexec_fn=lambda: os.login_tty(theirs)
    )
    os.close(theirs)
    while not (folder / "waits/waits-1").exists():
        assert run.poll() is None
        os.read(ours, 1 << 16)
    os.close(ours)
    assert run.wait(120) != 0
    goes_on(whole, folder)
    fault.came("the step was finished and kept, the lock gone; the same command goes on to the same model")
