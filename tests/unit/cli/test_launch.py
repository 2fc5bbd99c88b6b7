"""Where a job computes, on machines with no, one and two GPUs: `torch.cuda` says what a test wants it to.

What it says is all there is of these GPUs: whoever touched one would fail.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import faiss
import numpy as np
import pytest
import torch
import yaml
from accelerate.commands import launch as accelerate_launch
from accelerate.state import AcceleratorState

from tdro.cli import launch
from tdro.config import launchfiles
from tdro.config.mining import Search
from tdro.errors import UserError
from tdro.models import processes
from tdro.pipeline.start import read
from tdro.retrieval.indices import BlockIndex
from tdro.retrieval.nearest import open_index

ROOT = Path(__file__).parents[3]


@pytest.fixture
def gpus(monkeypatch):
    """Lets the machine have so many GPUs, and no SLURM."""
    for variable in [v for v in os.environ if v.startswith(("SLURM", "ACCELERATE")) or v == "LOCAL_RANK"]:
        monkeypatch.delenv(variable)

    def set_number(number):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)

    AcceleratorState._reset_state(reset_partial_state=True)
    yield set_number
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def started(monkeypatch):
    """What accelerate's launcher is told, instead of its starting anything: arguments, and whether to use the CPU.

    A process that goes on as the job itself counts as one of the launch configuration `cpu`, or `gpu`.
    """
    calls = []

    def note(arguments):
        found, _, _ = accelerate_launch._validate_launch_command(arguments)
        calls.append((Path(found.config_file).stem, found, os.environ.get("ACCELERATE_USE_CPU")))

    def go_on(arguments):
        found = SimpleNamespace(num_processes=1, num_cpu_threads_per_process=int(os.environ["OMP_NUM_THREADS"]))
        found.module, found.training_script, found.training_script_args = True, "tdro", arguments
        told = os.environ.get("ACCELERATE_USE_CPU")
        calls.append(("cpu" if told else "gpu", found, told))
        sys.exit()

    monkeypatch.setattr(accelerate_launch, "launch_command", note)
    monkeypatch.setattr(launch, "command_line", go_on)
    with patch.dict(os.environ):
        yield calls


def start(configuration, *options, threads=8):
    """As launch.sh does."""
    os.environ.pop("ACCELERATE_USE_CPU", None)
    command = ["train", "--plan", "p", "--settings", "@s"]
    try:
        launch.main(["--configuration", configuration, "--threads", str(threads), *options, "--", *command])
    except SystemExit as end:
        if end.code:
            raise


@pytest.mark.parametrize(
    ("number", "configuration", "processes", "threads"), [(0, "cpu", 1, 8), (1, "gpu", 1, 8), (2, "ddp", 2, 4)]
)
def test_auto_is_the_cpu_without_gpus_and_a_process_a_gpu_with_them(
    gpus, started, number, configuration, processes, threads
):
    gpus(number)
    start("auto")
    [(chosen, found, told)] = started
    assert (chosen, found.num_processes, found.num_cpu_threads_per_process) == (configuration, processes, threads)
    assert (told == "true") == (number == 0)
    assert found.module and found.training_script == "tdro"
    assert found.training_script_args[-2:] == ["--threads", str(threads)]


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(("name", "processes"), [("cpu", 1), ("ddp_cpu", 2)])
def test_a_configuration_for_the_cpu_is_honoured_on_a_machine_with_gpus(gpus, started, number, name, processes):
    gpus(number)
    start(name, "--gpus", "2")
    [(chosen, found, told)] = started
    assert (chosen, found.num_processes, told) == (name, processes, "true")


@pytest.mark.parametrize(
    ("configuration", "seen", "options", "slurm", "expected"),
    [
        # `gres`: the rule says nothing, SLURM gave some.
        ("auto", 8, [], {"SLURM_GPUS_ON_NODE": "4"}, ("ddp", 4)),
        ("ddp", 8, [], {"SLURM_GPUS_ON_NODE": "4"}, ("ddp", 4)),
        ("fsdp_full_shard", 8, [], {"SLURM_GPUS_ON_NODE": "4"}, ("fsdp_full_shard", 4)),
        # Others' GPUs can be seen, none is this job's.
        ("auto", 8, [], {}, ("cpu", 1)),
        # `gpu`, of all nodes together.
        ("auto", 8, ["--gpus", "2"], {"SLURM_GPUS_ON_NODE": "2"}, ("ddp", 2)),
        ("auto", 8, ["--gpus", "16", "--nodes", "2"], {"SLURM_GPUS_ON_NODE": "8"}, ("ddp", 16)),
        ("fsdp_hybrid_shard", 8, ["--gpus", "16", "--nodes", "2"], {}, ("fsdp_hybrid_shard", 16)),
        # Asked for and given, but not there.
        ("auto", 0, ["--gpus", "2"], {"SLURM_GPUS_ON_NODE": "2"}, ("cpu", 1)),
        ("auto", 0, ["--gpus", "2", "--nodes", "2"], {"SLURM_GPUS_ON_NODE": "1"}, ("ddp_cpu", 2)),
    ],
)
def test_gpus_are_those_of_the_job(gpus, started, monkeypatch, configuration, seen, options, slurm, expected):
    gpus(seen)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    start(configuration, *options, "--address", "10.0.0.7", "--port", "21234", "--rank", "1")
    [(chosen, found, _)] = started
    assert (chosen, found.num_processes) == expected
    if "--nodes" in options:
        assert (found.num_machines, found.machine_rank) == (2, 1)
        assert (found.main_process_ip, found.main_process_port) == ("10.0.0.7", 21234)


@pytest.mark.parametrize(("asked", "processes"), [("1", 1), ("2", 2), ("4", 2)])
def test_outside_of_slurm_a_job_takes_the_gpus_that_its_rule_asks_for(gpus, started, asked, processes):
    gpus(2)
    start("auto", "--gpus", asked)
    assert started[0][1].num_processes == processes


@pytest.mark.parametrize(("seen", "asked", "chosen"), [(1, "1", "gpu"), (1, "4", "gpu"), (2, "1", "ddp")])
def test_a_job_goes_on_in_its_process_where_torch_sees_one_gpu_alone(gpus, started, seen, asked, chosen):
    gpus(seen)
    for name in ("auto", "ddp"):
        start(name, "--gpus", "1" if name == "ddp" else asked)
    assert [(call[0], call[1].num_processes, call[2]) for call in started] == [(chosen, 1, None)] * 2


def accelerates_environment(file, **variables):
    """What a process finds that accelerate's launcher starts with a launch configuration."""
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    command = [sys.executable, "-m", "accelerate.commands.launch", "--quiet", "--config_file", str(file)]
    command += ["--num_processes", "1", "--num_cpu_threads_per_process", "3", "--no_python"]
    command += [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, check=True)
    return json.loads(done.stdout)


def test_the_process_that_goes_on_as_the_job_finds_what_accelerate_would_have_set(gpus, monkeypatch):
    gpus(0)
    file, odd = ROOT / "config/accelerate/cpu.yaml", {"ACCELERATE_MIXED_PRECISION": "bf16"}
    theirs = accelerates_environment(file, **odd)
    found = {}
    monkeypatch.setattr(launch, "command_line", lambda arguments: sys.exit(found.update(os.environ)))
    with patch.dict(os.environ, odd):
        start("cpu", threads=3)
    decided = ("ACCELERATE_USE_CPU", "ACCELERATE_MIXED_PRECISION", "ACCELERATE_DYNAMO_BACKEND", "OMP_NUM_THREADS")
    assert {name: found[name].lower() for name in decided} == {name: theirs[name].lower() for name in decided}
    others = {name: theirs[name] for name in theirs if name.startswith("ACCELERATE") and name not in decided}
    # Those of torch.compile, which is off.
    assert all(name.startswith("ACCELERATE_DYNAMO") for name in others)


@pytest.mark.parametrize("line", ["dynamo_config: {dynamo_backend: INDUCTOR}", "mixed_precision: bf16"])
def test_a_launch_configuration_that_asks_for_more_is_left_to_accelerate(gpus, started, monkeypatch, tmp_path, line):
    gpus(0)
    folder = tmp_path / "config/accelerate"
    folder.mkdir(parents=True)
    content = yaml.safe_load((ROOT / "config/accelerate/cpu.yaml").read_text()) | yaml.safe_load(line)
    (folder / "mine.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("TDRO_ROOT", str(tmp_path))
    start("mine")
    [(chosen, found, told)] = started
    assert (chosen, found.num_processes, told) == ("mine", 1, "true")


def test_one_process_on_several_nodes_is_refused(gpus, started, capsys):
    gpus(0)
    with pytest.raises(SystemExit, match="starts one process"):
        start("cpu", "--nodes", "2")


@pytest.mark.parametrize("word", ["True", "true", "1", "yes"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_process_that_is_told_so_computes_on_the_cpu(gpus, monkeypatch, number, word):
    gpus(number)
    monkeypatch.setenv("ACCELERATE_USE_CPU", word)
    assert processes.device() == processes.processes().device == torch.device("cpu")


def test_a_process_computes_on_the_gpu_of_its_rank(gpus, monkeypatch):
    gpus(0)
    assert processes.device() == torch.device("cpu")
    gpus(2)
    assert processes.device() == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert processes.device() == torch.device("cuda", 1)


def test_attention_on_a_gpu_is_not_planned_anew_for_each_shape_of_a_batch(gpus):
    processes._leave_out_cudnn.cache_clear()
    torch.backends.cuda.enable_cudnn_sdp(True)
    try:
        gpus(0)
        processes.device()
        assert torch.backends.cuda.cudnn_sdp_enabled()
        gpus(1)
        processes.device()
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(True)


def test_processes_wait_hours_for_one_another(monkeypatch):
    asked = {}
    monkeypatch.setattr("accelerate.PartialState", lambda **keys: asked.update(keys))
    processes.processes()
    assert asked["timeout"].total_seconds() >= 3600


def test_an_index_stays_in_memory_where_the_job_leaves_gpus_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    block = np.eye(40, dtype=np.float32)
    for name in ("Flat", "IVF1,Flat"):
        index = open_index(Search(index=name), 40, lambda number: block, 40)
        assert isinstance(index, BlockIndex)
        index.hold(block, tmp_path / f"{name}.faiss")
        assert index.search(block, 1)[1].ravel().tolist() == list(range(40))


def test_the_commands_hide_gpus_from_all_libraries_where_they_are_to_leave_them_alone():
    script = "import os; from tdro.cli.main import main; print(os.environ.get('CUDA_VISIBLE_DEVICES', 'seen'))"
    script = script.replace("print", "\ntry: main(['show', 'nothing'])\nexcept SystemExit: pass\nprint")
    for told, expected in (("True", ""), ("False", "seen")):
        environment = os.environ | {"ACCELERATE_USE_CPU": told}
        environment.pop("CUDA_VISIBLE_DEVICES", None)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
        assert done.stdout.strip() == expected


RETRIEVERS = """
  - {name: anywhere, base: org/b}
  - {name: sharded, base: org/b, accelerate: fsdp_full_shard}
  - {name: modest, base: org/b, accelerate: cpu}
  - {name: rehearsed, base: org/b, accelerate: ddp_cpu}
"""


def test_what_reads_texts_with_a_model_leaves_gpus_alone_where_the_model_does():
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    values |= {"models": yaml.safe_load(RETRIEVERS), "proxy": "anywhere"}
    values["evaluation"] = {"untrained": ["bm25", "miner", "base"]}
    jobs = read(values, ROOT)
    launches = {model.name: jobs.inference_launch(model.name) for model in jobs.config.models}
    assert launches == {"anywhere": "auto", "sharded": "auto", "modest": "cpu", "rehearsed": "cpu"}
    untrained = {name: jobs.inference_launch(None, name) for name in jobs.untrained}
    assert untrained == {"bm25": "auto", "miner": "auto"} | {f"base-{name}": launches[name] for name in launches}


@pytest.mark.parametrize(
    ("text", "said"),
    [("use_cpu: [true", "is not YAML: line"), ("- use_cpu", "expected keys"), ("", "expected keys")],
)
def test_a_launch_configuration_that_is_none_is_refused_by_its_name(text, said, tmp_path):
    file = tmp_path / "config/accelerate/mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(UserError, match=f"mine.yaml .*{said}"):
        launchfiles.read("mine", tmp_path)
