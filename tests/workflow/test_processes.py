"""One process against two (gloo), through ``accelerate launch`` as the rules call it: the same computation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.utils.launch import prepare_multi_gpu_env
from launching import launch_arguments

from tdro.artifacts import CORPUS, PLAN, QUERIES, REFERENCE, TRAIN, TRAJECTORY, digest, read_table, write_table
from tdro.config import Encoding, Model
from tdro.models import load_retriever, load_trained
from tdro.plan import make_plan, read_tasks
from tdro.weights import uniform, write_weights

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
TASKS = ("plain", "twin")
STEPS = 5
SHAPE = {"steps": STEPS, "batch_size": 8, "negatives": 2}
GREEK = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Two tasks of 30 rows whose texts differ in length; both plans; made-up reference losses."""
    root = tmp_path_factory.mktemp("processes")
    rng = np.random.default_rng(0)
    for task in TASKS:
        folder, rows = root / "data" / task, range(30)
        queries = [" ".join(rng.choice(GREEK, rng.integers(1, 6))) + f" {i}" for i in rows]
        ids = [str(i) for i in rows]
        corpus = {"passage_id": ids, "title": [""] * 30, "text": [f"{task} {q} omega" for q in queries]}
        write_table(folder / "corpus.parquet", corpus, CORPUS)
        positives, negatives = [[i] for i in rows], [[(i + k) % 30 for k in (1, 2, 3)] for i in rows]
        asked = {"query_id": ids, "query": queries, "positives": positives, "negatives": [[]] * 30}
        write_table(folder / "queries.parquet", asked, QUERIES)
        write_table(folder / "train.parquet", {"query": rows, "positives": positives, "negatives": negatives}, TRAIN)
    weights = uniform(dict.fromkeys(TASKS, 30))
    write_weights(root / "uniform.json", weights)
    for layout in ("homogeneous", "mixed"):
        plan = make_plan(read_tasks(root, TASKS), weights.weights, layout=layout, seed=1, **SHAPE)
        write_table(root / f"{layout}.parquet", plan, PLAN)
    plan = read_table(root / "mixed.parquet", PLAN)
    losses = {"loss": rng.uniform(0.1, 2, plan.num_rows).astype(np.float32)}
    columns = {name: plan[name].to_pylist() for name in ("step", "slot", "task")} | losses
    write_table(root / "reference.parquet", columns, REFERENCE, origin=digest(root / "mixed.parquet"))
    return root


def launch(processes: int, results: Path, settings: dict, *command, fsdp: str | None = None) -> None:
    """Run a command as workflow/scripts/launch.sh does; under ``fsdp`` sharded as that launch configuration says."""
    program = ["-m", "tdro"] if fsdp is None else [str(Path(__file__).with_name("fsdp_on_cpu.py"))]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", f"--num_processes={processes}"]
    launcher += ["--config_file", str(configuration("cpu" if processes == 1 else "ddp_cpu")), *program]
    launcher += [*map(str, command), "--results", str(results), "--settings", json.dumps(settings)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment |= fsdp_variables(fsdp) if fsdp else {}
    subprocess.run(launcher, check=True, env=environment, cwd=results, stdout=subprocess.DEVNULL)


def configuration(name: str) -> Path:
    return ROOT / "config" / "accelerate" / f"{name}.yaml"


def fsdp_variables(name: str) -> dict[str, str]:
    """What the launcher tells the processes of a launch configuration."""
    variables = prepare_multi_gpu_env(launch_arguments(configuration(name))).items()
    return {key: value for key, value in variables if key.startswith("FSDP_") or key == "ACCELERATE_USE_FSDP"}


def settings(base: Path, section: str, **keys) -> dict:
    steps = SHAPE | {"learning_rate": 1e-3, "warmup_steps": 1, "temperature": 0.05, "log_steps": 1}
    return {
        "model": {"name": "tiny", "base": str(base)},
        "encoding": {"query_length": 64, "passage_length": 64, "precision": "fp32"},
        "tasks": {task: {"instruction": "Find it."} for task in TASKS},
        section: steps | keys,
    }


def logged_losses(folder: Path) -> list[float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.value for event in events.Scalars("train/loss")]


def train(processes: int, results: Path, keys: dict, name: str, fsdp: str | None = None):
    """Parameters of the model that a training leaves, as one vector, and the losses of its steps."""
    folder = results / name
    paths = ["--output", folder / "model", "--checkpoints", folder / "checkpoints", "--tensorboard", folder / "tb"]
    launch(processes, results, keys, "train", "--plan", results / "homogeneous.parquet", *paths, fsdp=fsdp)
    model = load_trained(folder / "model")
    return torch.cat([p.detach().flatten() for p in model.parameters()]), logged_losses(folder / "tb")


@pytest.fixture(scope="module")
def alone(tiny_base, results):
    """What one process makes of the homogeneous plan."""
    return train(1, results, settings(tiny_base, "training"), "alone")


@pytest.mark.parametrize("changes", [{}, {"mini_batch_tokens": 64}], ids=["whole", "cached"])
def test_two_processes_train_the_same_model_as_one(tiny_base, results, alone, changes):
    model, losses = train(2, results, settings(tiny_base, "training", **changes), f"together{len(changes)}")
    assert len(losses) == STEPS
    assert losses == pytest.approx(alone[1], abs=1e-5)
    torch.testing.assert_close(model, alone[0], atol=1e-5, rtol=0)


def test_a_model_that_lies_sharded_over_two_processes_becomes_the_same(tiny_base, results, alone):
    """FSDP, gradients cached, checkpoints in between; the saved model is whole."""
    keys = settings(tiny_base, "training", mini_batch_tokens=64, save_steps=2)
    model, losses = train(2, results, keys, "sharded", fsdp="fsdp_full_shard")
    assert losses == pytest.approx(alone[1], abs=1e-5)
    torch.testing.assert_close(model, alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_two_processes_learn_the_same_weights_as_one(tiny_base, results, accumulation):
    made = []
    for processes in (1, 2):
        folder = results / f"tdro{processes}x{accumulation}"
        paths = ["--plan", results / "mixed.parquet", "--reference", results / "reference.parquet"]
        paths += ["--initial", results / "uniform.json", "--output", folder / "trajectory.parquet"]
        paths += ["--checkpoints", folder / "checkpoints", "--tensorboard", folder / "tb"]
        keys = settings(tiny_base, "tdro", accumulation=accumulation, step_size=0.5)
        launch(processes, results, keys, "optimize", *paths)
        made.append(read_table(folder / "trajectory.parquet", TRAJECTORY).to_pandas())
    one, two = made
    assert one[["step", "task", "rows"]].equals(two[["step", "task", "rows"]])
    assert one["weight"].nunique() > STEPS  # the weights moved
    np.testing.assert_allclose(one["weight"], two["weight"], atol=1e-6)
    # The losses of a step follow from the parameters that all steps before have left.
    np.testing.assert_allclose(one["proxy_loss"], two["proxy_loss"], atol=1e-5)


def test_two_processes_compute_the_same_reference_losses_as_one(tiny_base, results):
    encoding = Encoding(query_length=64, passage_length=64)
    load_retriever(Model(name="tiny", base=str(tiny_base)), encoding).save_pretrained(str(results / "reference"))
    found = []
    for processes in (1, 2):
        output = results / f"reference{processes}.parquet"
        paths = ["--plan", results / "mixed.parquet", "--model", results / "reference", "--output", output]
        keys = {"temperature": 0.05, "tasks": {task: {"instruction": "Find it."} for task in TASKS}}
        launch(processes, results, keys, "reference", *paths, "--checkpoints", results / f"blocks{processes}")
        found.append(read_table(output, REFERENCE)["loss"].to_numpy())
        assert not (results / f"blocks{processes}").exists()
    np.testing.assert_allclose(*found, atol=1e-5)
