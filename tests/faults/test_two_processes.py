"""A training by two processes of which one dies, or does not answer any more."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch
from trainings import Project, parameters
from waits import waiting

from tdro.training.checkpoints import newest_checkpoint

pytestmark = pytest.mark.faults

FORWARD = "tdro.training.losses:ContrastiveLoss.forward"


@pytest.fixture(scope="module")
def project(tiny_base, tmp_path_factory):
    return Project(tiny_base, tmp_path_factory.mktemp("two"))


class Training:
    """A training by two processes, through the launcher that the rules start."""

    def __init__(self, project, name, variables=None):
        self.places = project.places(name)
        named = {key: path for key, path in self.places._asdict().items() if path}
        options = [part for key, path in named.items() for part in (f"--{key}", str(path))]
        command = ["train", *options, "--settings", project.train_job(save_steps=2).model_dump_json()]
        line = [sys.executable, "-m", "tdro.cli.launch", "--configuration", "ddp_cpu", "--gpus", "2", "--threads", "2"]
        self.log = project.folder / f"{name}.log"
        with self.log.open("a") as out:
            environment = os.environ | {"HF_HUB_OFFLINE": "1"} | (variables or {})
            self.launcher = subprocess.Popen([*line, "--", *command], stdout=out, stderr=out, env=environment)

    def workers(self):
        """The two processes, by rank."""
        found = psutil.Process(self.launcher.pid).children()
        return sorted(found, key=lambda process: int(process.environ()["RANK"]))

    def until(self, seen):
        while not seen():
            assert self.launcher.poll() is None, self.log.read_text()
            time.sleep(0.05)


@pytest.fixture(scope="module")
def trained(project):
    """The weights that two undisturbed processes train."""
    training = Training(project, "undisturbed")
    assert training.launcher.wait() == 0, training.log.read_text()
    return parameters(training.places.output)


def stopped_in_step_five(project, name, variables=None):
    folder = project.folder / f"{name}-waits"
    training = Training(project, name, waiting(folder, FORWARD, 5) | (variables or {}))
    training.until(lambda: len(list(folder.glob("waits-*"))) == 1 and len(list(folder.glob("process-*"))) == 2)
    return training, folder / "go"


def goes_on(project, name, trained, checkpoint="checkpoint-4"):
    """The same command resumes, and trains what undisturbed processes train."""
    assert not project.places(name).output.exists()
    assert newest_checkpoint(project.places(name).checkpoints).name == checkpoint
    again = Training(project, name)
    assert again.launcher.wait() == 0, again.log.read_text()
    assert checkpoint in again.log.read_text()
    assert torch.equal(parameters(again.places.output), trained)


def test_one_of_two_processes_dies(project, trained, fault):
    fault.done("SIGKILL of one of two training processes")
    training, go = stopped_in_step_five(project, "dies")
    workers = training.workers()
    workers[1].kill()
    go.touch()
    assert training.launcher.wait(120) == 1
    said = training.log.read_text()
    killed = "tdro train: error: process 1 of this job was killed (SIGKILL), most often because memory ran out"
    silent = "tdro train: error: another process of this job has ended, or has not answered for"  # who sees it first
    assert killed in said or silent in said
    assert not psutil.wait_procs(workers, timeout=30)[1]
    goes_on(project, "dies", trained)
    fault.came("the launcher says which one, or the other that one is gone; the same command goes on to the same model")


def test_one_of_two_processes_hangs(project, trained, fault):
    fault.done("SIGSTOP of one of two training processes, and a patience of seconds in the place of hours")
    short = {"TDRO_TEST_PATIENCE": "10", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "3"}
    training, go = stopped_in_step_five(project, "hangs", short)
    workers = training.workers()
    workers[1].suspend()
    go.touch()
    assert training.launcher.wait(180) == 1
    said = training.log.read_text()
    assert "tdro train: error: another process of this job has ended, or has not answered for" in said
    assert "Traceback" not in said
    assert not psutil.wait_procs(workers, timeout=30)[1]
    goes_on(project, "hangs", trained)
    fault.came("the other says that it waited in vain, both end; the same command goes on to the same model")


def test_sigterm_of_two_processes(project, trained, fault):
    fault.done("SIGTERM to the launcher of two training processes")
    training, _ = stopped_in_step_five(project, "told")
    workers = training.workers()
    training.launcher.send_signal(signal.SIGTERM)
    assert training.launcher.wait(120) == 128 + signal.SIGTERM
    assert not psutil.wait_procs(workers, timeout=30)[1]
    goes_on(project, "told", trained, "checkpoint-5")
    fault.came("both finish the step and keep it; the same command goes on to the same model")
