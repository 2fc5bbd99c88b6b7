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
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tinymodels import byte_tokenizer
from transformers import BertConfig, BertModel

from tdro.artifacts.files import digest, read_table, write_table
from tdro.artifacts.schemas import CORPUS, PLAN, QUERIES, REFERENCE, SCORED_TRAIN, TRAJECTORY
from tdro.config.models import Encoding, Model
from tdro.mixtures.derive import uniform
from tdro.mixtures.plan import make_plan, read_tasks
from tdro.mixtures.weights import write_weights
from tdro.models.bases import load_retriever
from tdro.models.load import load_trained

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
        # Three queries share a positive, which the loss must leave out of the others' negatives on all processes.
        positives, negatives = [[i - i % 3] for i in rows], [[(i + k) % 30 for k in (4, 5, 6)] for i in rows]
        asked = {"query_id": ids, "query": queries, "positives": positives, "negatives": [[]] * 30}
        write_table(folder / "queries.parquet", asked, QUERIES)
        # A cross-encoder's scores; one negative of three has none.
        scores = [[i % 5 - 2.0, None, 1.0 - i % 3] for i in rows]
        train = {"query": rows, "positives": positives, "negatives": negatives}
        train |= {"positive_scores": [[i % 4 + 1.0] for i in rows], "negative_scores": scores}
        write_table(folder / "train.parquet", train, SCORED_TRAIN)
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


def settings(bases: dict[str, Path], section: str, **keys) -> dict:
    base = bases[keys.pop("kind", "decoder")]
    model = {"name": "tiny", "base": str(base)} | ({"lora": keys.pop("lora")} if "lora" in keys else {})
    precision = keys.pop("precision", "fp32")
    alone = {"own_negatives": keys.pop("own_negatives")} if "own_negatives" in keys else {}
    steps = SHAPE | {"learning_rate": 1e-3, "warmup_steps": 1, "temperature": 0.05, "log_steps": 1}
    return {
        "model": model,
        "encoding": {"query_length": 64, "passage_length": 64, "precision": precision},
        "tasks": {task: {"instruction": "Find it."} for task in TASKS},
        section: steps | keys,
        **alone,
    }


def logged_losses(folder: Path) -> list[float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.value for event in events.Scalars("train/loss")]


LORA = {"rank": 4, "dropout": 0.0}  # one process and two draw other masks
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
    "bf16": ({"precision": "bf16"}, {"bf16": True}),
    "sharded": ({"mini_batch_tokens": 64, "save_steps": 2}, {"fsdp": True}),
    "sharded-encoder": ({"kind": "encoder"}, {"fsdp": True}),
    "sharded-lora": ({"lora": LORA}, {"fsdp": True}),
    "sharded-checkpointing": ({"gradient_checkpointing": True}, {"fsdp": True}),
    "sharded-bf16": ({"precision": "bf16"}, {"fsdp": True, "bf16": True}),
    "stopped": ({"save_steps": 2}, {"stop_at": 3}),
    "sharded-stopped": ({"save_steps": 2}, {"fsdp": True, "stop_at": 3}),
}
ALONE = ["whole", "lora", "dimensions", "encoder", "static", "bf16", "distilled", "distilled-alone-cached"]


def training_cases(bases: dict[str, Path], results: Path, folder: Path, names) -> list[dict]:
    """A training each; one that is stopped is started again."""
    cases = []
    for name in names:
        keys, others = TRAININGS[name]
        here = folder / name
        arguments = ["train", "--plan", results / "homogeneous.parquet", "--results", results]
        arguments += ["--output", here / "model", "--checkpoints", here / "checkpoints", "--tensorboard", here / "tb"]
        arguments += ["--settings", json.dumps(settings(bases, "training", **keys))]
        case = others | {"arguments": [*map(str, arguments)]}
        if case.get("fsdp"):
            case["fsdp"] = fsdp_variables("fsdp_full_shard")
        cases.append(case)
        if case.get("stop_at"):
            cases.append({key: value for key, value in case.items() if key != "stop_at"})
    return cases


def tdro_cases(bases: dict[str, Path], results: Path, folder: Path) -> list[dict]:
    """tDRO with one micro-batch a step and with two, and the reference losses of its plan."""
    cases = []
    for accumulation in (1, 2):
        here = folder / f"tdro{accumulation}"
        arguments = ["optimize", "--plan", results / "mixed.parquet", "--reference", results / "reference.parquet"]
        arguments += ["--initial", results / "uniform.json", "--output", here / "trajectory.parquet"]
        arguments += ["--checkpoints", here / "checkpoints", "--tensorboard", here / "tb", "--results", results]
        keys = settings(bases, "tdro", accumulation=accumulation, step_size=0.5)
        cases.append({"arguments": [*map(str, arguments), "--settings", json.dumps(keys)]})
    arguments = ["reference", "--plan", results / "mixed.parquet", "--model", results / "reference"]
    arguments += ["--output", folder / "reference.parquet", "--checkpoints", folder / "blocks", "--results", results]
    keys = {"temperature": 0.05, "tasks": {task: {"instruction": "Find it."} for task in TASKS}}
    return [*cases, {"arguments": [*map(str, arguments), "--settings", json.dumps(keys)]}]


def run(processes: int, bases: dict[str, Path], results: Path, names) -> tuple[Path, dict]:
    """All commands by so many processes: their folder, and what was seen."""
    folder = results / f"by{processes}"
    cases = training_cases(bases, results, folder, names) + tdro_cases(bases, results, folder)
    return folder, launch(processes, folder, cases)


@pytest.fixture(scope="module")
def bases(tiny_base, tmp_path_factory) -> dict[str, Path]:
    """A decoder, a BERT whose pooler does nothing, and a static embedding."""
    folder = tmp_path_factory.mktemp("bases")
    torch.manual_seed(0)
    tokenizer = byte_tokenizer(pad_token="<|end|>")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # see LORA
    BertModel(BertConfig(vocab_size=len(tokenizer), **sizes, **dropout)).save_pretrained(folder / "encoder")
    tokenizer.save_pretrained(folder / "encoder")
    static = SentenceTransformer(modules=[StaticEmbedding(byte_tokenizer(), embedding_dim=16)], device="cpu")
    static.save_pretrained(str(folder / "static"), create_model_card=False)
    return {"decoder": tiny_base, "encoder": folder / "encoder", "static": folder / "static"}


@pytest.fixture(scope="module")
def alone(tiny_base, bases, results):
    """What one process makes."""
    encoding = Encoding(query_length=64, passage_length=64)
    load_retriever(Model(name="tiny", base=str(tiny_base)), encoding).save_pretrained(str(results / "reference"))
    return run(1, bases, results, ALONE)[0]


@pytest.fixture(scope="module")
def together(bases, results, alone):
    """What two processes make, and what was seen of them."""
    return run(2, bases, results, TRAININGS)


def parameters(folder: Path) -> torch.Tensor:
    """Parameters of the model that a training has left, as one vector."""
    return torch.cat([p.detach().flatten() for p in load_trained(folder / "model").parameters()])


@pytest.mark.parametrize("name", [name for name in TRAININGS if "bf16" not in name])
def test_two_processes_train_the_same_model_as_one(alone, together, name):
    """Whole or sharded by FSDP, with LoRA, distillation, dimensions, checkpointing, cached gradients, resumed."""
    one = alone / (name if name in ALONE else {"sharded-lora": "lora", "sharded-encoder": "encoder"}.get(name, "whole"))
    torch.testing.assert_close(parameters(together[0] / name), parameters(one), atol=1e-5, rtol=0)
    losses = logged_losses(together[0] / name / "tb")
    assert losses == pytest.approx(logged_losses(one / "tb"), abs=1e-5)
    assert len(losses) == STEPS


@pytest.mark.parametrize("name", ["bf16", "sharded-bf16"])
def test_two_processes_train_in_bfloat16_as_one_does(alone, together, name):
    exact, one, two = (logged_losses(folder / "tb") for folder in (alone / "whole", alone / "bf16", together[0] / name))
    assert one != pytest.approx(exact, abs=1e-5)  # it was bfloat16
    assert two != pytest.approx(exact, abs=1e-5)
    assert two == pytest.approx(one, rel=0.02)
    # Trained weights stay float32: in bfloat16 a step of 1e-3 of their size would be lost.
    moved = parameters(together[0] / name) - parameters(alone / "whole")
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
    np.testing.assert_allclose(one["weight"], two["weight"], atol=1e-6)
    # The losses of a step follow from the parameters that all steps before have left.
    np.testing.assert_allclose(one["proxy_loss"], two["proxy_loss"], atol=1e-5)


def test_two_processes_compute_the_same_reference_losses_as_one(alone, together):
    found = [read_table(f / "reference.parquet", REFERENCE)["loss"].to_numpy() for f in (alone, together[0])]
    np.testing.assert_allclose(*found, atol=1e-5)
    assert not (together[0] / "blocks").exists()
