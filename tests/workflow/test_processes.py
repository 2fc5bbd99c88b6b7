"""One process against two (gloo), through ``accelerate launch`` as the rules call it: the same computation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate.utils.launch import prepare_multi_gpu_env
from basemodels import save_bare, save_static
from launching import launch_arguments
from trainings import ENCODING, REFERENCE_JOB, Project, parameters, save_untrained

from tdro.artifacts.files import digest, read_table, write_table
from tdro.artifacts.schemas import REFERENCE, TRAJECTORY
from tdro.config.models import Lora, Model
from tdro.config.sections import Section

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
STEPS = 5


@pytest.fixture(scope="module")
def project(tiny_base, tmp_path_factory) -> Project:
    """Two tasks, and made-up reference losses of a mixed plan."""
    project = Project(tiny_base, tmp_path_factory.mktemp("processes"))
    rows = pd.DataFrame(project.rows("mixed", STEPS, 8))[["step", "slot", "task"]]
    rows["loss"] = np.random.default_rng(0).uniform(0.1, 2, len(rows)).astype(np.float32)
    origin = digest(project.plan("mixed", STEPS, 8))
    write_table(project.folder / "reference.parquet", rows.to_dict("list"), REFERENCE, origin=origin)
    return project


def launch(processes: int, folder: Path, cases: list[dict]) -> dict:
    """Run commands one after another in the processes of one launch; what was seen (inseveralprocesses.py)."""
    folder.mkdir()
    (folder / "cases.json").write_text(json.dumps(cases))
    launcher = [sys.executable, "-m", "accelerate.commands.launch", f"--num_processes={processes}", "--config_file"]
    launcher += [str(configuration("cpu" if processes == 1 else "ddp_cpu"))]
    launcher += [str(Path(__file__).with_name("inseveralprocesses.py")), str(folder / "cases.json")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(launcher, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "seen.json").read_text())


def configuration(name: str) -> Path:
    return ROOT / "config" / "accelerate" / f"{name}.yaml"


def fsdp_variables(name: str) -> dict[str, str]:
    """What the launcher tells the processes of a launch configuration."""
    variables = prepare_multi_gpu_env(launch_arguments(configuration(name))).items()
    return {key: value for key, value in variables if key.startswith("FSDP_") or key == "ACCELERATE_USE_FSDP"}


def logged(folder: Path, figure: str = "loss") -> list[float]:
    """A figure of each step of a training, out of its event files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.value for event in events.Scalars(f"train/{figure}")]


LORA = Lora(rank=4, dropout=0)  # one process and two draw other masks, here and in the encoder
BF16 = ENCODING.model_copy(update={"precision": "bf16"})
#: Keys of the training, and what else a case of inseveralprocesses.py has, by name.
TRAININGS = {
    "whole": ({}, {}),
    "cached": ({"mini_batch_tokens": 64}, {}),
    "lora": ({"lora": LORA}, {}),
    "distilled": ({"distill": {}}, {}),
    "distilled-alone-cached": ({"distill": {}, "own_negatives": ["twin"], "mini_batch_tokens": 64}, {}),
    "dimensions": ({"matryoshka": [32, 8], "mini_batch_tokens": 64}, {}),
    "encoder": ({"kind": "encoder"}, {}),
    "static": ({"kind": "static"}, {}),
    "bf16": ({"encoding": BF16}, {"bf16": True}),
    "sharded": ({"mini_batch_tokens": 64, "save_steps": 2}, {"fsdp": True}),
    "sharded-encoder": ({"kind": "encoder"}, {"fsdp": True}),
    "sharded-lora": ({"lora": LORA}, {"fsdp": True}),
    "sharded-checkpointing": ({"gradient_checkpointing": True}, {"fsdp": True}),
    "sharded-bf16": ({"encoding": BF16}, {"fsdp": True, "bf16": True}),
    "stopped": ({"save_steps": 2}, {"stop_at": 3}),
    "sharded-stopped": ({"save_steps": 2}, {"fsdp": True, "stop_at": 3}),
}
ALONE = ["whole", "lora", "dimensions", "encoder", "static", "bf16", "distilled", "distilled-alone-cached"]
SETTINGS = {"steps": STEPS, "batch_size": 8, "learning_rate": 1e-3, "log_steps": 1, "save_steps": 100}


def command(name: str, job: Section, **paths: Path) -> list[str]:
    return [
        name,
        *(part for key in paths for part in (f"--{key}", str(paths[key]))),
        "--settings",
        job.model_dump_json(),
    ]


def training_cases(bases: dict[str, Path], project: Project, folder: Path, names) -> list[dict]:
    """A training each; one that is stopped is started again."""
    cases, plan = [], project.plan("homogeneous", STEPS, 8)
    for name in names:
        keys, others = TRAININGS[name]
        keys, here = SETTINGS | keys, folder / name
        model = Model(name="tiny", base=str(bases[keys.pop("kind", "decoder")]), lora=keys.pop("lora", None))
        paths = {"output": here / "model", "checkpoints": here / "checkpoints", "tensorboard": here / "tb"}
        job = project.train_job(model, **keys)
        case = others | {"arguments": command("train", job, plan=plan, results=project.folder, **paths)}
        if case.get("fsdp"):
            case["fsdp"] = fsdp_variables("fsdp_full_shard")
        cases.append(case)
        if case.get("stop_at"):
            cases.append({key: value for key, value in case.items() if key != "stop_at"})
    return cases


def tdro_cases(project: Project, folder: Path) -> list[dict]:
    """tDRO with one micro-batch a step and with two, and the reference losses of its plan."""
    jobs, common = [], {"plan": project.plan("mixed", STEPS, 8), "results": project.folder}
    start = {"reference": project.folder / "reference.parquet", "initial": project.folder / "uniform.json"}
    for accumulation in (1, 2):
        here = folder / f"tdro{accumulation}"
        paths = {"output": here / "trajectory.parquet", "checkpoints": here / "c", "tensorboard": here / "tb"}
        job = project.optimize_job(**SETTINGS, accumulation=accumulation, step_size=0.5)
        jobs.append(command("optimize", job, **common, **start, **paths))
    paths = {"output": folder / "reference.parquet", "checkpoints": folder / "blocks"}
    jobs.append(command("reference", REFERENCE_JOB, **common, model=project.folder / "reference", **paths))
    return [{"arguments": job} for job in jobs]


def run(processes: int, bases: dict[str, Path], project: Project, names) -> tuple[Path, dict]:
    """All commands by so many processes: their folder, and what was seen."""
    folder = project.folder / f"by{processes}"
    cases = training_cases(bases, project, folder, names) + tdro_cases(project, folder)
    return folder, launch(processes, folder, cases)


@pytest.fixture(scope="module")
def bases(tiny_base, tmp_path_factory) -> dict[str, Path]:
    """A decoder, a BERT whose pooler does nothing, and a static embedding."""
    folder = tmp_path_factory.mktemp("bases")
    encoder, static = save_bare("bert", folder / "encoder"), save_static(folder / "static")
    return {"decoder": tiny_base, "encoder": encoder, "static": static}


@pytest.fixture(scope="module")
def alone(bases, project):
    """What one process makes."""
    save_untrained(project.model, ENCODING, project.folder / "reference")
    return run(1, bases, project, ALONE)[0]


@pytest.fixture(scope="module")
def together(bases, project, alone):
    """What two processes make, and what was seen of them."""
    return run(2, bases, project, TRAININGS)


@pytest.mark.parametrize("name", [name for name in TRAININGS if "bf16" not in name])
def test_two_processes_train_the_same_model_as_one(alone, together, name):
    """Whole or sharded by FSDP, with LoRA, distillation, dimensions, checkpointing, cached gradients, resumed."""
    one = alone / (name if name in ALONE else {"sharded-lora": "lora", "sharded-encoder": "encoder"}.get(name, "whole"))
    torch.testing.assert_close(parameters(together[0] / name / "model"), parameters(one / "model"), atol=1e-5, rtol=0)
    losses = logged(together[0] / name / "tb")
    assert losses == pytest.approx(logged(one / "tb"), abs=1e-5)
    assert len(losses) == STEPS
    # AdamW hides it where all gradients are twice as large.
    assert logged(together[0] / name / "tb", "grad_norm") == pytest.approx(logged(one / "tb", "grad_norm"), rel=1e-3)


@pytest.mark.parametrize("name", ["bf16", "sharded-bf16"])
def test_two_processes_train_in_bfloat16_as_one_does(alone, together, name):
    exact, one, two = (logged(folder / "tb") for folder in (alone / "whole", alone / "bf16", together[0] / name))
    assert one != pytest.approx(exact, abs=1e-5)  # it was bfloat16
    assert two != pytest.approx(exact, abs=1e-5)
    assert two == pytest.approx(one, rel=0.02)
    # Trained weights stay float32: in bfloat16 a step of 1e-3 of their size would be lost.
    moved = parameters(together[0] / name / "model") - parameters(alone / "whole" / "model")
    assert moved.abs().max() < 0.02


@pytest.mark.parametrize(("name", "weights"), [("stopped", "weights.safetensors"), ("sharded-stopped", "fsdp")])
def test_a_stopped_training_left_the_checkpoint_that_it_went_on_from(together, name, weights):
    folder, seen = together
    left = seen["complete"][f"{folder / name / 'checkpoints'}, stopped"]
    assert sorted(left) == ["checkpoint-2", "checkpoint-3"]
    for files in left.values():
        assert any(weights in file for file in files)
        assert {"rng_state_0.pth", "rng_state_1.pth"} <= set(files)
    assert seen["complete"][str(folder / name / "checkpoints")] == {}


def test_processes_wait_hours_for_one_another(together):
    assert together[1]["seconds"] >= 3600


@pytest.mark.parametrize("accumulation", [1, 2])
def test_two_processes_learn_the_same_weights_as_one(alone, together, accumulation):
    one, two = (
        read_table(folder / f"tdro{accumulation}/trajectory.parquet", TRAJECTORY).to_pandas()
        for folder in (alone, together[0])
    )
    assert one[["step", "task", "rows"]].equals(two[["step", "task", "rows"]])
    assert one["weight"].nunique() > STEPS  # the weights moved
    np.testing.assert_allclose(one["weight"], two["weight"], atol=1e-5)
    # The losses of a step follow from the parameters that all steps before have left.
    np.testing.assert_allclose(one["proxy_loss"], two["proxy_loss"], atol=5e-5)
    norms = [logged(folder / f"tdro{accumulation}/tb", "grad_norm") for folder in (alone, together[0])]
    assert norms[1] == pytest.approx(norms[0], rel=1e-3)


def test_two_processes_compute_the_same_reference_losses_as_one(alone, together):
    found = [read_table(f / "reference.parquet", REFERENCE)["loss"].to_numpy() for f in (alone, together[0])]
    np.testing.assert_allclose(*found, atol=1e-5)
    assert not (together[0] / "blocks").exists()


@pytest.mark.thorough
def test_four_processes_do_what_one_does(alone, bases, project):
    folder, _ = run(4, bases, project, ["whole"])
    torch.testing.assert_close(parameters(folder / "whole/model"), parameters(alone / "whole/model"), atol=1e-5, rtol=0)
    for accumulation in (1, 2):
        one, four = (
            read_table(at / f"tdro{accumulation}/trajectory.parquet", TRAJECTORY).to_pandas() for at in (alone, folder)
        )
        assert one[["step", "task", "rows"]].equals(four[["step", "task", "rows"]])
        np.testing.assert_allclose(one["weight"], four["weight"], atol=1e-5)
    found = [read_table(at / "reference.parquet", REFERENCE)["loss"].to_numpy() for at in (alone, folder)]
    np.testing.assert_allclose(*found, atol=1e-5)
