"""The command that a distributed rule runs, in a shell where Python and SLURM are stand-ins that note calls."""

import os
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.utils import format as filled_in

ROOT = Path(__file__).parents[2]
JOB = "JobId=21234 JobState={state} Restarts={restarts} NodeList=node[07-08]"
STANDINS = {
    "python": 'echo "python $*" >>"$CALLS"; eval "${TRAINING:-true}"',
    # Starts the command once a node, as srun does, one after another.
    "srun": 'echo "srun $*" >>"$CALLS"; while [[ $1 == --* ]]; do shift; done\n'
    'for rank in 0 1; do SLURM_NODEID=$rank SLURM_STEP_NODELIST="node[07-08]" "$@"; done',
    "scontrol": 'case "$*" in *hostnames*) printf "node07\\nnode08\\n";; *node07) echo "NodeAddr=10.0.0.7 X=1";;'
    ' *"show job"*) echo "$SHOW_JOB";; requeue*) echo "scontrol $*" >>"$CALLS";; esac',
    "sleep": "exec /bin/sleep 0.1",
}


@pytest.fixture
def shell(tmp_path):
    """Starts the shell command of a rule with given resources; a list of calls is left in `calls`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in STANDINS.items():
        (programs / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (programs / name).chmod(0o755)
    launch = _helpers()["launch"]

    def start(gpu=0, nodes=1, threads=8, **variables):
        resources = SimpleNamespace(gpu=gpu, nodes=nodes)
        command = filled_in(
            launch("train"),
            resources=resources,
            threads=threads,
            params=SimpleNamespace(accelerate="ddp", settings="{a: it's 1}"),
            log=tmp_path / "log",
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        environment |= {"PATH": f"{programs}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls")}
        environment |= {"TDRO_ROOT": str(ROOT)} | variables
        return subprocess.Popen(["bash", "-c", f"set -euo pipefail; {command}"], env=environment)

    return start


def _helpers():
    """The functions of common.smk, whose first part is plain Python."""
    source = (ROOT / "workflow/rules/common.smk").read_text().rpartition("\nwith refusing():\n")[0]
    deployment = SimpleNamespace(deployment_method="")
    names = {
        "workflow": SimpleNamespace(
            current_basedir=str(ROOT / "workflow/rules"),
            deployment_settings=deployment,
            resource_settings=SimpleNamespace(cores=2),
        ),
        "shell": SimpleNamespace(prefix=lambda prefix: None),
    }
    exec(source, names)
    return names


def calls(folder, program):
    lines = (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []
    return [line for line in lines if line.startswith(program)]


@pytest.mark.parametrize("gpu", [0, 1, 8])
def test_one_machine_has_one_launcher_which_finds_out_about_gpus(shell, tmp_path, gpu):
    assert shell(gpu=gpu).wait() == 0
    assert calls(tmp_path, "") == [
        f"python -m tdro.cli.launch --configuration ddp --nodes 1 --gpus {gpu} --threads 8"
        f" -- train --settings @{tmp_path}/log.settings.json"
    ]
    assert (tmp_path / "log.settings.json").read_text() == "{a: it's 1}\n"


def test_two_machines_have_a_launcher_each_which_meet_on_the_first(shell, tmp_path):
    assert shell(gpu=16, nodes=2, threads=32, SLURM_JOB_ID="21234").wait() == 0
    assert len(calls(tmp_path, "srun --nodes=2 --ntasks=2 --ntasks-per-node=1")) == 1
    assert calls(tmp_path, "python") == [
        f"python -m tdro.cli.launch --configuration ddp --nodes 2 --gpus 16 --threads 32 --rank {rank}"
        f" --address 10.0.0.7 --port 21234 -- train --settings @{tmp_path}/log.settings.json"
        for rank in (0, 1)
    ]


def test_the_log_and_the_status_are_those_of_the_training(shell, tmp_path):
    assert shell(TRAINING="echo out; echo err >&2; exit 3").wait() == 3
    assert (tmp_path / "log").read_text().splitlines() == ["out", "err"]


@pytest.mark.parametrize(
    ("training", "state", "restarts", "again"),
    [
        ("exit 75", "RUNNING", 0, True),
        ("exit 75", "RUNNING", 20, False),
        ("exit 75", "CANCELLED", 0, False),
        ("exit 75", None, 0, False),
        ("exit 1", "RUNNING", 0, False),
        ("exit 0", "RUNNING", 0, False),
    ],
)
def test_a_job_whose_training_wants_to_go_on_is_queued_again(shell, tmp_path, training, state, restarts, again):
    job = {"SLURM_JOB_ID": "21234", "SHOW_JOB": JOB.format(state=state, restarts=restarts)} if state else {}
    assert shell(TRAINING=training, **job).wait() == int(training.split()[1])
    assert calls(tmp_path, "scontrol") == (["scontrol requeue 21234"] if again else [])


@pytest.mark.parametrize("status", [0, 1])
def test_sigterm_waits_for_the_training_and_then_queues_what_is_unfinished(shell, tmp_path, status):
    training = f"trap '' TERM; echo started; until [[ -e {tmp_path}/go ]]; do sleep 1; done; echo saved; exit {status}"
    job = shell(TRAINING=training, SLURM_JOB_ID="21234", SHOW_JOB=JOB.format(state="RUNNING", restarts=1))
    while not (tmp_path / "log").exists() or "started" not in (tmp_path / "log").read_text():
        time.sleep(0.01)
    job.send_signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    assert job.wait() == status
    assert "saved" in (tmp_path / "log").read_text()
    assert bool(calls(tmp_path, "scontrol requeue 21234")) == bool(status)
