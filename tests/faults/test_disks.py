"""Each stage on a disk that is full, has no room for another file, can only be read, or takes no large files.

The disk is a small one in memory, which only root can mount. Its room is a random share of what the stage writes, so
that some stages fail at their first file and some at their last. The logs lie elsewhere: a run whose logs have no room
is in tests/unit/pipeline/screen.

A quota needs a system that keeps one. A limit on the size of a file stands in for it: it comes from the same call, by
another number (tests/unit/artifacts/test_fulldisk.py has the number of a quota).
"""

import random
import shutil
from contextlib import chdir

import pytest
from choosing import RULES as CHOOSING
from damages import answer, arguments
from disks import Disk
from leftovers import half_written, standing
from records import ended
from stages import Stage, content, limited, remove
from tinyrun import RULES, SEED

pytestmark = pytest.mark.faults

_PAGE = 4096
#: What each sentence has to say.
NO_ROOM = "cannot be written: no space is left on its disk; make room there"
READ_ONLY = "cannot be written: its disk can only be read; make it writable"
#: Some libraries say that a file cannot be written, and not why.
TOO_LARGE = "; make room there, or let results, logs and checkpoints lie on another disk"


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    try:
        made = Disk(tmp_path_factory.mktemp("disk"))
    except PermissionError as error:
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.fixture(scope="module")
def project(whole, disk, tmp_path_factory):
    """The undisturbed run on that disk, with its logs on another."""
    folder = shutil.copytree(whole, disk.folder / "project", symlinks=True)
    logs = tmp_path_factory.mktemp("logs") / "logs"
    shutil.move(folder / "logs", logs)
    (folder / "logs").symlink_to(logs)
    return folder


@pytest.fixture
def stage(request, whole, project, disk):
    """The last job of a rule, whose inputs are there and whose outputs are not."""
    jobs = list(ended(whole).values())
    job = max((job for job in jobs if job.rule == request.param), key=lambda job: job.begin)
    disk.roomy()
    provide(job, {output: one for one in jobs for output in one.outputs}, project)
    yield Stage(job, project)
    disk.roomy()


def provide(job, made_by, folder):
    """Make inputs that were thrown away when they had been read."""
    for file in job.inputs:
        if not (folder / file).exists():
            provide(made_by[file], made_by, folder)
            status, said = Stage(made_by[file], folder).run()
            assert status == 0, said
    remove(job, folder)


def made_by(stage):
    """What a stage makes that the undisturbed run has thrown away when it had been read."""
    status, said = stage.run()
    assert status == 0, said
    made = content(stage.job, stage.folder)
    remove(stage.job, stage.folder)
    return made


def fails(stage, whole, sentence, **how):
    """It fails with one sentence, and leaves nothing that is not whole."""
    status, said = stage.run(**how)
    assert status != 0
    assert "Traceback" not in said
    sentences = [line for line in said.splitlines() if ": error: " in line]
    assert len(sentences) == 1 and sentence in sentences[0], said
    assert half_written(stage.folder) == []
    expected = standing(whole)
    there = {name: data for name, data in content(stage.job, stage.folder).items() if name in expected}
    assert [name for name in there if there[name] != expected[name]] == []


@pytest.mark.parametrize("stage", RULES, ids=[f"disk-{rule}" for rule in RULES], indirect=True)
def test_disk(stage, whole, disk, tmp_path, fault):
    job, chance = stage.job, random.Random(f"{SEED} {stage.job.rule}")
    made = content(job, whole) or made_by(stage)
    pages, largest = sum(-(-len(data) // _PAGE) for data in made.values()), max(map(len, made.values()))
    room, files, size = map(chance.randrange, (pages, len(made), largest))
    fault.done(
        f"{job.rule} with room for {room} of {pages} pages of 4 KB, then for {files} of {len(made)} files, on a disk "
        f"that can only be read, and with files of {size} bytes at most; then with room"
    )
    disk.full(room * _PAGE)
    fails(stage, whole, NO_ROOM)
    disk.roomy()
    disk.no_more_files(files)
    fails(stage, whole, NO_ROOM)
    disk.roomy()
    disk.read_only()
    fails(stage, whole, READ_ONLY)
    disk.roomy()
    fails(stage, whole, TOO_LARGE, python=limited(tmp_path / "limited", f"--fsize={size}"))
    status, said = stage.run()
    assert status == 0, said
    assert content(job, stage.folder) == made
    fault.came("one sentence each time, nothing half-written; then the same files as undisturbed")


@pytest.fixture(scope="module")
def choices(chosen, disk):
    """The other undisturbed run on that disk, with its cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = shutil.copytree(chosen, disk.folder / "choices", symlinks=True)
        patch.setenv("TDRO_CACHE", str(folder / "cache"))
        yield folder


@pytest.mark.parametrize("rule", CHOOSING, ids=[f"disk-{rule}" for rule in CHOOSING])
def test_full_disk_of_a_choice(rule, chosen, choices, disk, fault, capfd):
    job = next(job for job in ended(chosen).values() if job.rule == rule)
    made = content(job, chosen)
    room = random.Random(f"{SEED} {rule}").randrange(sum(-(-len(data) // _PAGE) for data in made.values()) or 1)
    fault.done(f"{rule} with room for {room} pages of 4 KB, then with room")
    disk.roomy()
    remove(job, choices)
    shutil.rmtree(choices / "cache", ignore_errors=True)  # what was fetched is fetched again
    disk.full(room * _PAGE)
    with chdir(choices):
        said = answer(arguments(job), capfd)
        assert NO_ROOM in said
        assert half_written(choices) == []
        disk.roomy()
        assert answer(arguments(job), capfd) is None
    assert content(job, choices) == made
    fault.came("one sentence, nothing half-written; then the same files as undisturbed")
