"""Machines that lack something, and what is said of them."""

import os
import resource
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tdro.forecast.machine import Machine
from tdro.setup import machine

ROOT = Path(__file__).parents[3]
GPU = Machine("Xeon", 8, ("NVIDIA H100", "NVIDIA H100"))


def states(findings):
    """State and words of each, by subject."""
    return {found.subject: (found.state, f"{found.said} | {found.mend}") for found in findings}


def test_the_versions_that_tests_run_with_are_the_tested_ones():
    found = states(machine.versions(ROOT))
    assert found["libraries"][0] == "ok" and found["faiss"][0] == "ok" and found["Python"][0] in ("ok", "warn")


@pytest.mark.parametrize(
    ("installed", "state", "said"),
    [
        ({"torch": None}, "fail", "torch not installed | pip install -e '.[cpu]'"),
        ({"torch": "2.12.0"}, "warn", "torch 2.12.0, tested with 2.13.0"),
        ({"torch": "2.13.0+cu130"}, "ok", "all of the tested versions"),
        ({"faiss-cpu": None}, "fail", "not installed | pip install -e '.[cpu]', or"),
    ],
)
def test_missing_and_other_libraries_are_named(monkeypatch, installed, state, said):
    plainly = machine._version
    monkeypatch.setattr(machine, "_version", lambda name: installed[name] if name in installed else plainly(name))
    found = states(machine.versions(ROOT))["faiss" if "faiss-cpu" in installed else "libraries"]
    assert found[0] == state and said in found[1]


@pytest.mark.parametrize(("python", "state"), [((3, 10, 2), "fail"), ((3, 11, 4), "ok"), ((3, 14, 0), "warn")])
def test_pythons(monkeypatch, python, state):
    monkeypatch.setattr(sys, "version_info", namedtuple("Info", "major minor micro")(*python))
    assert states(machine.versions(ROOT))["Python"][0] == state


@pytest.mark.parametrize(
    ("torch", "state", "said"),
    [
        ((0, "2.13.0+cu130 13.0 2\n", ""), "ok", "2 x NVIDIA H100, torch 2.13.0+cu130, CUDA 13.0"),
        ((0, "2.13.0+cu130 13.0 1\n", ""), "warn", "torch sees 1 of 2 x NVIDIA H100 | see CUDA_VISIBLE_DEVICES"),
        ((0, "2.13.0+cpu None 0\n", ""), "fail", "torch sees none (torch 2.13.0+cpu, CUDA None) | install the torch"),
        ((1, "", "Traceback\nImportError: no libcudart\n"), "fail", "sees none (ImportError: no libcudart)"),
    ],
)
def test_what_torch_sees_of_the_drivers_gpus(monkeypatch, torch, state, said):
    done = SimpleNamespace(returncode=torch[0], stdout=torch[1], stderr=torch[2])
    monkeypatch.setattr(subprocess, "run", lambda *line, **how: done)
    found = states(machine.processors(GPU))["GPU"]
    assert found[0] == state and said in found[1]


def test_without_a_gpu_torch_is_not_asked(monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    assert states(machine.processors(Machine("Xeon", 2, ())))["GPU"][0] == "ok"


@pytest.mark.parametrize(("needed", "state"), [(0, "ok"), (4e9, "ok"), (6e9, "warn"), (12e9, "warn"), (21e9, "fail")])
def test_memory_of_a_container_counts_and_what_is_free_of_it(tmp_path, monkeypatch, needed, state):
    (tmp_path / "max").write_text("10000000000\n")
    monkeypatch.setattr(machine, "_CGROUP", tmp_path / "max")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=64e9, available=5e9))
    found = states(machine.memory(needed))["memory"]
    assert found[0] == state and "5.0 GB free of 10.0" in found[1]


def test_little_shared_memory_and_few_open_files_are_told(monkeypatch):
    monkeypatch.setattr(machine, "_room", lambda folder: 64e6)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (256, 4096))
    found = states(machine.memory())
    assert found["shared memory"] == (
        "warn",
        "64 MB free in /dev/shm; trainings hand batches over there | docker run --shm-size 2g",
    )
    assert found["open files"] == ("warn", "at most 256 | ulimit -n 4096")


@pytest.mark.parametrize(("needed", "state"), [(0, "ok"), (5e9, "ok"), (8e9, "warn"), (11e9, "fail")])
def test_room_on_the_disk_of_results(tmp_path, monkeypatch, needed, state):
    monkeypatch.setattr(machine, "_room", lambda folder: 10e9)
    found = states(machine.disks(tmp_path / "not/there/results", needed))
    assert found["disk of results"][0] == state and found["disk of the cache"][0] == "ok"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    assert states(machine.disks(tmp_path / "results"))["disk of results"][0] == "fail"


def test_a_cache_on_something_that_is_no_folder_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path / "file"))
    state, said = states(machine.disks(tmp_path))["disk of the cache"]
    assert state == "fail" and "TDRO_CACHE=FOLDER" in said


def test_slurm_is_none_or_answers_or_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert states(machine.cluster(tmp_path))["SLURM"] == ("ok", "none; jobs run on this machine | ")
    for name in machine.slurmqueue.PROGRAMS:
        (tmp_path / name).write_text(f"#!/bin/sh\necho '7 {tmp_path}'\n")
        (tmp_path / name).chmod(0o755)
    assert states(machine.cluster(tmp_path))["SLURM"][1].startswith("has jobs of this folder: 7")
    assert states(machine.cluster(tmp_path / "other"))["SLURM"] == ("ok", "answers | ")
    (tmp_path / "squeue").write_text("#!/bin/sh\nexit 1\n")
    assert states(machine.cluster(tmp_path))["SLURM"][0] == "warn"


def test_a_lock_that_a_killed_run_has_left(tmp_path):
    assert list(machine.earlier_runs(tmp_path)) == []
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.input.lock").touch()
    assert "--unlock" in states(machine.earlier_runs(tmp_path))["lock"][1]
