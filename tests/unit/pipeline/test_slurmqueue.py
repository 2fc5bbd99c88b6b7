"""The queue of a stand-in for SLURM."""

import pytest

from tdro.errors import UserError
from tdro.pipeline.slurmqueue import PROGRAMS, jobs_of


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder of programs, which is all that PATH names."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def write(names, script):
        for name in names:
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)

    return write


def test_jobs_of_the_folder_are_found_and_no_others(programs, tmp_path):
    programs(PROGRAMS, f"echo '11 {tmp_path}'; echo '12 /elsewhere'; echo '13 {tmp_path}'")
    assert jobs_of(tmp_path) == ["11", "13"]


def test_without_slurm_a_sentence_says_where_to_go(programs, tmp_path):
    programs(PROGRAMS[1:], "true")
    with pytest.raises(UserError, match="this machine has no `sbatch`; start the run on a login node"):
        jobs_of(tmp_path)


def test_what_a_slurm_says_that_does_not_answer_is_quoted(programs, tmp_path):
    programs(PROGRAMS, "echo 'squeue: error: x' >&2; echo 'squeue: fatal: no controller' >&2; exit 1")
    with pytest.raises(UserError, match="SLURM does not answer: squeue says 'squeue: fatal: no controller'; see"):
        jobs_of(tmp_path)
