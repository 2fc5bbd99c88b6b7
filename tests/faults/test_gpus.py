"""A GPU list that is empty, on a machine with GPUs: a job computes on the CPU, the same as on a machine without.

No GPU is at hand: torch says that there are two, as many as `CUDA_VISIBLE_DEVICES` lets it see, and whoever touched one
would fail (tests/waiting/sitecustomize.py).
"""

import shutil

import pytest
from stages import Stage, content, job_of, remove
from tinyrun import RUN
from waits import FOLDER

pytestmark = pytest.mark.faults

MODEL, EMBEDDINGS = f"{RUN}/uniform/model", "results/data/mined/embeddings"
#: The launcher's arguments: nodes, GPUs that the rule asks for, threads, configuration.
AUTO = " 1 0 2 auto "
CASES = {
    "no-gpu-train": (MODEL, AUTO),
    "no-gpu-asked-for": (MODEL, " 1 1 2 auto "),
    "no-gpu-ddp": (MODEL, " 1 0 2 ddp "),
    "no-gpu-encode": (EMBEDDINGS, AUTO),
}


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "project", symlinks=True)


def run(job, folder, arguments, seen):
    """Run a job's command with other arguments of the launcher and a list of GPUs."""
    remove(job, folder)
    changed = job._replace(command=job.command.replace(AUTO, arguments))
    assert changed.command != job.command or arguments == AUTO
    variables = {"TDRO_TEST_GPUS": "2", "CUDA_VISIBLE_DEVICES": seen}
    return Stage(changed, folder).run(variables=variables, path=FOLDER)


@pytest.mark.parametrize("case", CASES)
def test_gpu(whole, folder, fault, case):
    made, arguments = CASES[case]
    job = job_of(whole, made)
    fault.done(f"CUDA_VISIBLE_DEVICES= for {job.rule}, whose launcher gets{arguments.rstrip()} (nodes, GPUs, threads)")
    status, said = run(job, folder, arguments, "")
    assert status == 0, said
    asked = "the rule asked for 1 GPUs on this node, but the job can use 0"
    assert (asked in said) == (case == "no-gpu-asked-for")
    assert content(job, folder) == content(job, whole)
    fault.came("it computes on the CPU what it did undisturbed; where one was asked for, it says that it has none")


def test_a_gpu_that_is_listed_is_taken(whole, folder, fault):
    """What stands in for GPUs is seen, so that the cases above show something."""
    fault.done("the same with a list of one GPU, which is none")
    job = job_of(whole, EMBEDDINGS)
    status, said = run(job, folder, AUTO, "0")
    assert status != 0
    assert "Torch not compiled with CUDA enabled" in said
    assert content(job, folder) == {}
    fault.came("the job takes the GPU, and fails")
