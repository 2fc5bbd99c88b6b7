"""The conda environments agree with pyproject.toml, and accelerate understands its launch configurations."""

import os
import re
import runpy
import tomllib
from pathlib import Path

import pytest
import torch
import yaml
import yte
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_multi_gpu_env
from launching import launch_arguments
from packaging.utils import canonicalize_name
from torch.distributed.fsdp import ShardingStrategy, StateDictType

from tdro.config.schema import Config
from tdro.config.sections import load

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
ENVIRONMENTS = [ROOT / "environment.yml", *sorted((ROOT / "envs").glob("*.yaml"))]
LOCK = (ROOT / "envs/demo.lock").read_text(encoding="utf-8")
#: Extras that the demo and the tests need.
LOCKED = ["cpu", "demo", "static", "dev"]
LICENCES, AUDIT = (runpy.run_path(str(ROOT / file)) for file in ("docs/licences.py", "envs/audit.py"))
LAUNCHES = sorted((ROOT / "config" / "accelerate").glob("*.yaml"))
FSDP = [path for path in LAUNCHES if path.stem.startswith("fsdp")]


def _pip(path: Path) -> list[str]:
    dependencies = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    return next(entry["pip"] for entry in dependencies if isinstance(entry, dict))


def _asking_for_gpus(profile: str) -> dict[str, int]:
    """Rules that a profile asks for GPUs for."""
    text = (ROOT / profile / "config.yaml").read_text(encoding="utf-8")
    resources = yte.process_yaml(text, require_use_yte=True)["set-resources"]
    return {rule: asked["gpu"] for rule, asked in resources.items() if asked.get("gpu")}


@pytest.mark.parametrize(("seen", "gpus"), [(0, 1), (1, 1), (2, 2)])
def test_on_one_machine_the_rules_that_use_gpus_take_turns(monkeypatch, seen, gpus):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
    asking = _asking_for_gpus("profiles/gpu")
    # Searching uses GPUs that lie idle; it is no reason to ask SLURM for one.
    assert set(asking) == {"search", *_asking_for_gpus("slurm")}
    assert set(asking.values()) == {gpus}


def test_bm25_asks_slurm_for_no_gpu():
    asking = _asking_for_gpus("slurm")
    assert "evaluate_untrained" in asking
    assert "evaluate_bm25" not in asking


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_environment_pins_are_those_of_the_project(path):
    known = {pin for pins in (PROJECT["dependencies"], *EXTRAS.values()) for pin in pins}
    pins = [line for line in _pip(path) if line != "-e ."]
    assert sorted(set(pins)) == pins, "sort the pins, each once"
    assert set(pins) <= known, f"{path.name} disagrees with pyproject.toml about {sorted(set(pins) - known)}"


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_environment_has_python_and_pip_from_conda_forge(path):
    environment = yaml.safe_load(path.read_text(encoding="utf-8"))
    python = next(d for d in environment["dependencies"] if str(d).startswith("python="))
    assert python.removeprefix("python=") == PROJECT["requires-python"].removeprefix(">=")
    assert "pip" in environment["dependencies"]
    assert environment["channels"] == ["conda-forge"]


def test_the_lock_is_of_the_pinned_versions_each_with_hashes():
    """`pip install --require-hashes` needs a hash of everything; `make lock` writes the file anew."""
    locked = dict(re.findall(r"^([a-z0-9.-]+)==(\S+)(?= \\\n    --hash=sha256:[0-9a-f]{64})", LOCK, re.MULTILINE))
    assert len(locked) == len(re.findall(r"^[^\s#]", LOCK, re.MULTILINE)), "a line is no pin with a hash behind it"
    pins = [pin for pins in (PROJECT["dependencies"], *(EXTRAS[name] for name in LOCKED)) for pin in pins]
    asked = {canonicalize_name(name): version for name, version in (pin.split("==") for pin in pins)}
    assert {name: locked.get(name, "").partition("+")[0] for name in asked} == asked, "make lock"
    assert "://" not in LOCK, "an address of an index is no part of it"


def test_what_make_installs_is_what_is_locked():
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"-e '.[{','.join(LOCKED)}]'" in recipe
    assert " ".join(f"--extra {name}" for name in LOCKED) in recipe


def test_the_licences_are_those_of_the_locked_packages():
    page = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| ([a-z0-9.-]+) \| (\d\S*) \| \S", page, re.MULTILINE))
    assert listed == LICENCES["pins"](), "make lock"
    installed = LICENCES["lines"]()
    assert len(installed) > 50
    assert not [line for line in installed.values() if line not in page], "make lock"


@pytest.fixture
def advisories(tmp_path):
    """A folder of advisories with one on a locked package, which says whether it affects it."""

    def write(**affected) -> Path:
        package = {"name": "NumPy", "ecosystem": "PyPI"}
        advisory = {"id": "PYSEC-1", "modified": "2026-01-02T00:00:00Z", "affected": [{"package": package, **affected}]}
        (tmp_path / "vulns/numpy").mkdir(parents=True, exist_ok=True)
        (tmp_path / "vulns/numpy/PYSEC-1.yaml").write_text(yaml.safe_dump(advisory))
        return tmp_path

    return write


def test_a_vulnerable_version_is_found_without_a_network(advisories, capsys):
    version = str(AUDIT["locked"]()["numpy"])
    ranges = [
        ([{"introduced": "0"}], 1),
        ([{"introduced": "0"}, {"fixed": version}], 0),
        ([{"introduced": "0"}, {"fixed": "1!0"}], 1),
        ([{"introduced": "1!0"}], 0),
        ([{"introduced": "0"}, {"last_affected": version}], 1),
        ([{"introduced": "0"}, {"fixed": "0.1"}, {"introduced": version}], 1),
    ]
    for events, status in ranges:
        folder = advisories(ranges=[{"type": "ECOSYSTEM", "events": events}])
        assert AUDIT["main"](folder) == status, events
        assert ("numpy" in capsys.readouterr().out) == bool(status)
    assert AUDIT["main"](advisories(versions=[version])) == 1
    assert AUDIT["main"](advisories(versions=["0.0.1"])) == 0
    assert "1 advisories on 1 of them, the last one of 2026-01-02" in capsys.readouterr().out


def test_the_whole_environment_holds_everything():
    assert set(_pip(ROOT / "environment.yml")) == {
        *PROJECT["dependencies"],
        *EXTRAS["cpu"],
        *EXTRAS["demo"],
        *EXTRAS["static"],
        "-e .",
    }


def test_every_part_of_the_workflow_has_an_environment():
    assert [path.stem for path in ENVIRONMENTS[1:]] == ["data", "evaluation", "mining", "report", "training"]


@pytest.mark.parametrize("path", ENVIRONMENTS[1:], ids=lambda path: path.name)
def test_rule_environments_hold_no_path(path):
    # Snakemake builds them from a copy in its own folder.
    assert all(re.fullmatch(r"[\w-]+==[\w.+]+", line) for line in _pip(path))


@pytest.mark.parametrize("path", LAUNCHES, ids=lambda path: path.stem)
def test_accelerate_reads_the_launch_configuration(path):
    loaded = load_config_from_file(str(path))  # refuses unknown keys at the top level
    assert loaded.mixed_precision == "no", "encoding.precision decides"
    known = set(vars(launch_command_parser().parse_args(["tdro"])))
    assert {*loaded.fsdp_config, *loaded.deepspeed_config} <= known, "accelerate ignores a key that it does not know"


@pytest.mark.parametrize("path", LAUNCHES, ids=lambda path: path.stem)
def test_processes_come_from_the_command_line(path):
    arguments = launch_arguments(path)
    assert arguments.num_processes == 2
    kinds = {
        "cpu": arguments.use_cpu and not arguments.multi_gpu,
        "ddp": arguments.multi_gpu,
        "fsdp": arguments.use_fsdp,
        "deepspeed": arguments.use_deepspeed,
    }
    assert [kind for kind, chosen in kinds.items() if chosen] == [path.stem.split("_")[0]]


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_deepspeed_stage_is_that_of_the_name(stage):
    arguments = launch_arguments(ROOT / "config" / "accelerate" / f"deepspeed_zero{stage}.yaml")
    assert arguments.zero_stage == stage


@pytest.mark.parametrize("path", FSDP, ids=lambda path: path.stem)
def test_fsdp_reaches_the_workers(path, monkeypatch):
    """What a worker makes of the variables that the launcher sets."""
    environment = prepare_multi_gpu_env(launch_arguments(path))
    for key in [key for key in os.environ if key.startswith("FSDP_")]:
        monkeypatch.delenv(key)
    for key in [key for key in environment if key.startswith("FSDP_")]:
        monkeypatch.setenv(key, environment[key])
    monkeypatch.setenv("FSDP_SYNC_MODULE_STATES", "false")  # true asks for a GPU on the spot
    plugin = FullyShardedDataParallelPlugin()
    in_parts = path.stem != "fsdp_hybrid_shard"  # whose checkpoints in parts no test has gone on from
    expected = StateDictType.SHARDED_STATE_DICT if in_parts else StateDictType.FULL_STATE_DICT
    assert plugin.state_dict_type == expected
    assert plugin.cpu_ram_efficient_loading == (plugin.fsdp_version == 2)
    sharding = {
        "fsdp_full_shard": (2, True),
        "fsdp_shard_grad_op": (2, False),
        "fsdp_hybrid_shard": (1, ShardingStrategy.HYBRID_SHARD),
    }
    chosen = plugin.reshard_after_forward if plugin.fsdp_version == 2 else plugin.sharding_strategy
    assert (plugin.fsdp_version, chosen) == sharding[path.stem]


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.stem)
def test_models_name_launch_configurations_that_exist(path):
    assert {model.accelerate for model in load(path, Config).models} <= {"auto", *(launch.stem for launch in LAUNCHES)}


def test_both_images_take_the_same_files_of_the_repository():
    docker = (ROOT / "containers/Dockerfile").read_text(encoding="utf-8")
    copied = [
        word for line in re.findall(r"^COPY --chown=\S+ (.*) \S+$", docker, re.MULTILINE) for word in line.split()
    ]
    apptainer = re.findall(
        r"^    (\S+) /opt/tdro/", (ROOT / "containers/tdro.def").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(copied) == sorted(apptainer)
    assert all((ROOT / name).exists() for name in copied)
    assert {"environment.yml", "pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], "tdro"} == set(copied)
