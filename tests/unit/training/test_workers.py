"""Batches made ahead by workers: the same training, and no process left behind, however it ends."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from killing import KillAt, stopped
from trainings import parameters
from waits import waiting

from tdro.errors import Unfinished
from tdro.training import trainer
from tdro.training.checkpoints import newest_checkpoint

ROOT = Path(__file__).parents[3]


@pytest.fixture
def made(monkeypatch):
    """Two workers on the CPU, too; who made the batch of which rows, as far as batches were made."""
    told = multiprocessing.get_context("fork").SimpleQueue()
    monkeypatch.setattr(trainer, "WORKERS", {"cpu": 2})

    class Telling(trainer.Collator):
        def __call__(self, items):
            told.put((os.getpid(), int(items[0]["label"])))
            return super().__call__(items)

    monkeypatch.setattr(trainer, "Collator", Telling)

    def read():
        found = []
        while not told.empty():
            found.append(told.get())
        return found

    return read


@pytest.mark.parametrize("change", [{}, {"mini_batch_tokens": 40}])
def test_two_workers_train_the_model_that_none_train_also_resumed(project, made, monkeypatch, change):
    job = project.train_job(**change)
    ahead = parameters(project.train("ahead", job))
    by = made()
    assert len({process for process, _ in by} - {os.getpid()}) == 2
    assert sorted(row for _, row in by) == list(range(0, 32, 4))
    assert not multiprocessing.active_children()
    stopped(monkeypatch, KillAt(5), lambda: project.train("resumed", job))
    made()
    assert torch.equal(parameters(project.train("resumed", job)), ahead)
    assert sorted(row for _, row in made()) == list(range(16, 32, 4))  # on from the checkpoint of step 4
    assert not multiprocessing.active_children()
    monkeypatch.setattr(trainer, "WORKERS", {})
    assert torch.equal(parameters(project.train("plain", job)), ahead)
    assert {process for process, _ in made()} == {os.getpid()}


def test_tdro_learns_the_same_weights_with_workers(project, made, monkeypatch):
    project.losses()
    ahead = project.optimize(name="ahead")
    assert os.getpid() not in {process for process, _ in made()}
    monkeypatch.setattr(trainer, "WORKERS", {})
    assert project.optimize(name="plain").equals(ahead)


def start(project, folder, name):
    """A training by the command line with two workers, which waits in its third step; it and its workers."""
    job, places = project.train_job(save_steps=100), project.places(name)
    named = {key: path for key, path in places._asdict().items() if path}
    options = [part for key, path in named.items() for part in (f"--{key}", str(path))]
    code = (
        "from tdro.training import trainer; trainer.WORKERS = {'cpu': 2}; "
        "from tdro.cli.main import command_line; command_line()"
    )
    command = [sys.executable, "-c", code, "train", *options, "--settings", job.model_dump_json(), "--threads", "1"]
    environment = os.environ | waiting(folder / "w", "tdro.training.losses:ContrastiveLoss.forward", 3)
    with (folder / "out").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True, cwd=ROOT)
    while not (folder / "w/waits-1").exists():
        assert process.poll() is None, (folder / "out").read_text()
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) == 2, workers
    return process, workers


SAVED = Unfinished.STATUS


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, SAVED), (signal.SIGINT, SAVED), (signal.SIGHUP, SAVED), (signal.SIGKILL, -9)],
)
def test_no_worker_outlives_its_training(project, tmp_path, number, status):
    """A signal to all processes, as Ctrl-C or a cluster sends it, still saves the step. SIGKILL to one."""
    process, workers = start(project, tmp_path, "m")
    os.kill(process.pid, number) if number == signal.SIGKILL else os.killpg(process.pid, number)
    assert process.wait(60) == status, (tmp_path / "out").read_text()
    alive = psutil.wait_procs(workers, timeout=30)[1]
    assert not alive
    said = (tmp_path / "out").read_text()
    assert "Traceback" not in said
    if number == signal.SIGTERM:
        assert newest_checkpoint(project.places("m").checkpoints).name == "checkpoint-3"
