"""Memory that runs out: the system kills a worker, or refuses it more."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest
from groups import Group
from leftovers import half_written
from records import ended
from running import snakemake
from stages import Stage, content, job_of, limited, remove
from tinyrun import RUN
from waits import waiting

from tdro.pipeline.killed import MARK, is_locked

pytestmark = pytest.mark.faults

MODEL, CHECKPOINTS = f"{RUN}/uniform/model", "checkpoints/tiny/seed1/uniform"
#: Bytes that a training may take from its first moment on; it needs more before it trains.
LITTLE = 100 * 2**20
_CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def folder(whole, tmp_path):
    """A copy of the undisturbed run in which a model is to be trained again."""
    shutil.copytree(whole, tmp_path / "project", symlinks=True)
    remove(job_of(whole, MODEL), tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def little_memory():
    """A control group of processes that may take little memory, whichever version of them the system has."""
    first = (_CGROUPS / "memory").is_dir()
    place = _CGROUPS / ("memory" if first else "") / f"tdro-faults-{os.getpid()}"
    try:
        place.mkdir()
        (place / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(LITTLE))
    except OSError as error:
        pytest.skip(f"this user may not limit the memory of a group of processes ({error})")
    yield place
    place.rmdir()


def goes_on(whole, folder, checkpoint=None):
    """Nothing is half-written, and the same command trains the model that an undisturbed run trains."""
    assert not is_locked(folder)
    assert half_written(folder) == [] and not (folder / MODEL).exists()
    snakemake(folder, MODEL)
    job = job_of(whole, MODEL)
    assert content(job, folder) == content(job, whole)
    assert checkpoint is None or f"resuming from {CHECKPOINTS}/{checkpoint}" in (folder / job.logs[0]).read_text()


def said_of(run):
    said = " ".join(run.said.split())
    assert "Traceback" not in said
    assert "It was ended by SIGKILL: most often because memory ran out: docs/troubleshooting.md says what helps" in said


def workers(run):
    """The processes of the run that compute."""
    found = []
    for one in run.members():
        with contextlib.suppress(psutil.Error):
            found += [one] if MARK in one.environ() and "python" in one.name() else []
    return found


def test_out_of_memory_in_a_group(whole, folder, little_memory, fault):
    fault.done(f"a training in a group of processes that may take {LITTLE >> 20} MB (cgroup); the system kills it")
    run = Group(folder, MODEL)
    run.until(lambda: workers(run))
    (little_memory / "cgroup.procs").write_text(str(workers(run)[0].pid))
    assert run.end() != 0
    said_of(run)
    goes_on(whole, folder)
    fault.came("the screen says that most often memory ran out; with more of it the same command trains the same model")


def test_worker_killed(whole, folder, fault):
    fault.done("SIGKILL of the process that trains alone, as the system does when memory runs out, in the fifth step")
    waits = waiting(folder / "waits", "tdro.training.losses:ContrastiveLoss.forward", 5)
    run = Group(folder, MODEL, variables=waits)
    run.until(lambda: (folder / "waits/waits-1").exists())
    (job,) = workers(run)
    job.send_signal(signal.SIGKILL)
    assert run.end() != 0
    said_of(run)
    goes_on(whole, folder, "checkpoint-4")
    fault.came("the screen says that most often memory ran out; the same command resumes, to the same model")


#: Megabytes of addresses: some stop while libraries are loaded, some behind.
REFUSED = {"prepare_task": 100, "dedup": 200, "search": 400, "train": 300, "evaluate": 300}


@pytest.mark.parametrize("rule", REFUSED, ids=[f"refused-{rule}" for rule in REFUSED])
def test_memory_is_refused(whole, tmp_path, fault, rule):
    fault.done(f"{rule} may take {REFUSED[rule]} MB of addresses (RLIMIT_AS)")
    folder = shutil.copytree(whole, tmp_path / "project", symlinks=True)
    job = next(job for job in ended(whole).values() if job.rule == rule)
    remove(job, folder)
    status, said = Stage(job, folder).run(python=limited(tmp_path / "limited", f"--as={REFUSED[rule] << 20}"))
    assert status != 0 and "Traceback" not in said
    sentences = [line for line in said.splitlines() if ": error: " in line]
    assert len(sentences) == 1 and "error: memory ran out (" in sentences[0], said
    assert half_written(folder) == [] and content(job, folder) == {}
    status, said = Stage(job, folder).run()
    assert status == 0, said
    assert content(job, folder) == content(job, whole)
    fault.came("one sentence, nothing half-written; with enough memory the same files as undisturbed")
