"""What is written beside its place: on the disk before it takes it, and gone when who wrote it is."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tdro.artifacts import beside as module
from tdro.artifacts.beside import begun, beside, scratch, take_away
from tdro.artifacts.files import replacing
from tdro.artifacts.folders import replacing_folder

NODE = platform.node()[:32]


@pytest.fixture
def synced(monkeypatch):
    """The files and folders that have been brought to the disk."""
    done = []
    monkeypatch.setattr(module.os, "fsync", lambda number: done.append(Path(f"/proc/self/fd/{number}").readlink()))
    return done


@pytest.fixture
def gone():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(("umask", "rights"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_who_may_read_a_folder_may_read_what_safetensors_wrote(tmp_path, umask, rights):
    before = os.umask(umask)
    try:
        with replacing_folder(tmp_path / "model") as folder:
            (folder / "1_Dense").mkdir()
            for file in ("model.safetensors", "1_Dense/model.safetensors"):
                save_file({"a": np.ones(3, np.float32)}, folder / file)
    finally:
        os.umask(before)
    found = [file.stat().st_mode & 0o777 for file in (tmp_path / "model").rglob("*.safetensors")]
    assert found == [rights, rights]


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path, synced):
    with replacing(tmp_path / "value.json") as temporary:
        temporary.write_text("1")
        assert not synced
    assert synced == [temporary, tmp_path]
    assert NODE in temporary.name


def test_so_is_a_folder_with_all_that_is_in_it(tmp_path, synced):
    with replacing_folder(tmp_path / "model") as folder:
        (folder / "part").mkdir()
        for file in ("a", "part/b"):
            (folder / file).touch()
    assert set(synced) == {folder, folder / "a", folder / "part", folder / "part/b", tmp_path}
    assert synced[-1] == tmp_path


def test_a_folder_takes_the_place_of_another_and_leaves_nothing_beside(tmp_path):
    for content in ("old", "new"):
        with replacing_folder(tmp_path / "model") as folder:
            (folder / content).touch()
    with pytest.raises(RuntimeError), replacing_folder(tmp_path / "model") as folder:
        (folder / "half").touch()
        raise RuntimeError
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["model", "model/new"]


def test_what_killed_processes_have_left_goes_when_the_file_is_written_again(tmp_path, gone):
    left = [tmp_path / f".a.json.{NODE}.{process}.tmp" for process in (gone, os.getpid())]
    other = [f".a.json.{NODE}.{os.getppid()}.tmp", ".a.json.elsewhere.7.tmp", f".b.json.{NODE}.{gone}.tmp", "a.json"]
    for name in other:
        (tmp_path / name).touch()
    left[0].touch()
    left[1].mkdir()
    with replacing(tmp_path / "a.json") as temporary:
        temporary.touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(other)


def test_of_another_node_what_nobody_has_touched_for_a_day(tmp_path):
    for name, age in (("old", 86_500), ("new", 86_000)):
        path = tmp_path / f".a.{name}.example.org.7.tmp"
        path.mkdir()
        os.utime(path, (then := module.time.time() - age, then))
    beside(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == [".a.new.example.org.7.tmp"]


def test_a_scratch_folder_goes_however_it_ends(tmp_path):
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path / "new/rows") as folder:
        assert folder.parent == tmp_path / "new"
        (folder / "file").touch()
        raise KeyboardInterrupt
    assert list((tmp_path / "new").iterdir()) == []


def test_what_is_taken_away_goes_from_its_name_at_once(tmp_path, monkeypatch):
    """A kill while files are removed one by one leaves them under another name, which the next one takes away."""
    place = tmp_path / "checkpoints"
    (place / "checkpoint-4").mkdir(parents=True)
    take_away(tmp_path / "nothing")
    with monkeypatch.context() as patch:
        patch.setattr(module, "remove", lambda path: None)
        take_away(place)
    assert not place.exists()
    (left,) = begun(place)
    assert (left / "checkpoint-4").is_dir()
    place.mkdir()
    take_away(place)
    assert list(tmp_path.iterdir()) == []
