"""Models of every kind merged on disk, against their state dicts averaged in memory; and what is refused."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from basemodels import ENCODING, TEXTS, save_bare, save_embedder, save_static
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense

from tdro.cli.main import main
from tdro.config.commands import BaseJob
from tdro.config.models import Lora, Model
from tdro.errors import UserError
from tdro.models.load import load_trained
from tdro.models.modelfiles import header_bytes
from tdro.training.base import save_base
from tdro.training.merge import merge


def other(folder, output, seed, dtype=None):
    """The same model with other values, as another training would leave it."""
    model = SentenceTransformer(str(folder), device="cpu")
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    model.to(dtype).save_pretrained(str(output), create_model_card=False)
    return output


KINDS = {
    "network": lambda folder: save_embedder("bert", folder),
    "decoder": lambda folder: save_embedder("qwen3", folder, pooling="lasttoken"),
    "dense": lambda folder: save_embedder("bert", folder, Dense(32, 16)),
    "static": save_static,
}


@pytest.fixture
def pair(tmp_path):
    """Two trained models, and the base that both come from."""
    base = save_embedder("bert", tmp_path / "base", Dense(32, 16))
    return [other(base, tmp_path / name / "model", seed) for seed, name in enumerate(("one", "two"))], base


def states(*folders):
    return [SentenceTransformer(str(folder), device="cpu").state_dict() for folder in folders]


@pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_is_the_mean_and_everything_else_that_of_the_first(kind, dtype, tmp_path):
    base = KINDS[kind](tmp_path / "base")
    models = [other(base, tmp_path / f"m{seed}", seed, dtype) for seed in range(3)]
    merge(models, tmp_path / "soup", [1, 1, 2])
    found, *parts = states(tmp_path / "soup", *models)
    assert found.keys() == parts[0].keys()
    for name, tensor in found.items():
        assert tensor.dtype == parts[0][name].dtype
        if tensor.is_floating_point():
            expected = sum(w * p[name].double() for w, p in zip((0.25, 0.25, 0.5), parts, strict=True))
            assert torch.allclose(tensor.double(), expected, atol=1e-6, rtol=1e-6 if dtype is None else 2**-8)
    kept = {file.relative_to(models[0]): file for file in models[0].rglob("*.json")}
    assert all((tmp_path / "soup" / name).read_bytes() == file.read_bytes() for name, file in kept.items())
    assert load_trained(tmp_path / "soup").encode(TEXTS).shape[0] == len(TEXTS)


@pytest.mark.parametrize("method", ["linear", "multislerp"])
def test_two_copies_give_the_model_back_to_the_byte(pair, tmp_path, method):
    model = pair[0][0]
    copy = shutil.copytree(model, tmp_path / "copy")
    merge([model, copy], tmp_path / "soup", method=method)
    for file in model.rglob("*.safetensors"):
        assert (tmp_path / "soup" / file.relative_to(model)).read_bytes() == file.read_bytes()


def test_shards_are_read_wherever_a_tensor_lies_and_written_as_those_of_the_first(pair, tmp_path):
    models, _ = pair
    merge(models, tmp_path / "plain")
    sharded = shutil.copytree(models[0], tmp_path / "sharded")
    tensors = load_file(sharded / "model.safetensors")
    (sharded / "model.safetensors").unlink()
    names, where = sorted(tensors), {}
    for number in range(3):
        shard = f"model-0000{number + 1}-of-00003.safetensors"
        where |= dict.fromkeys(names[number::3], shard)
        save_file({name: tensors[name] for name in names[number::3]}, sharded / shard, {"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index))
    merge([sharded, models[1]], tmp_path / "soup")
    merge([models[1], sharded], tmp_path / "turned")
    assert sorted(f.name for f in (tmp_path / "soup").glob("*.safetensors")) == sorted(set(where.values()))
    plain, soup, turned = states(tmp_path / "plain", tmp_path / "soup", tmp_path / "turned")
    for name, tensor in plain.items():
        assert torch.equal(tensor, soup[name])
        assert torch.allclose(tensor, turned[name], atol=1e-7)


def test_whole_numbers_must_be_equal(pair, tmp_path):
    models, _ = pair
    for model, number in zip(models, (3, 3), strict=True):
        weights = load_file(model / "model.safetensors")
        save_file(weights | {"count": torch.tensor(number)}, model / "model.safetensors", {"format": "pt"})
    merge(models, tmp_path / "soup")
    assert load_file(tmp_path / "soup/model.safetensors")["count"] == 3
    save_file(weights | {"count": torch.tensor(4)}, models[1] / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="differ in count, whose whole numbers have no average"):
        merge(models, tmp_path / "soup")
    assert load_file(tmp_path / "soup/model.safetensors")["count"] == 3
    assert [p for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def edited(folder, file, change):
    content = json.loads((folder / file).read_text())
    change(content)
    (folder / file).write_text(json.dumps(content))


def tensors_of(folder, change):
    weights = load_file(folder / "model.safetensors")
    save_file(change(weights), folder / "model.safetensors", {"format": "pt"})


def pickled(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


FIRST = "encoder.layer.0.output.dense.bias"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: edited(m, "1_Pooling/config.json", lambda c: c.update(pooling_mode="mean")), "pooling_mode"),
        (lambda m: edited(m, "config_sentence_transformers.json", lambda c: c["prompts"].update(query="q: ")), "query"),
        (lambda m: edited(m, "modules.json", lambda c: c.pop()), "has 2_Dense/config.json, and"),
        (lambda m: edited(m, "config.json", lambda c: c.update(hidden_act="relu")), "config.json says otherwise"),
        (lambda m: edited(m, "tokenizer.json", lambda c: c["model"]["vocab"].popitem()), "tokenizer.json"),
        (lambda m: (m / "training_settings.json").write_text('{"model": {"prompts": "none"}}'), "training_settings"),
        (lambda m: tensors_of(m, lambda w: w | {FIRST: w[FIRST][:5].clone()}), r"F32 \[32\] and F32 \[5\]"),
        (lambda m: tensors_of(m, lambda w: w | {FIRST: w[FIRST].half()}), r"F32 \[32\] and F16 \[32\]"),
        (lambda m: tensors_of(m, lambda w: {n: t for n, t in w.items() if n != FIRST}), f"no tensor {FIRST}"),
        (lambda m: tensors_of(m, lambda w: w | {"more": w[FIRST].clone()}), "no tensor more"),
        (lambda m: (m / "adapter_config.json").write_text('{"r": 8}'), "holds an adapter"),
        (lambda m: (m / "modules.json").unlink(), "no SentenceTransformer folder"),
        (pickled, "only pickled weights"),
    ],
)
def test_what_differs_is_named_in_a_sentence_and_nothing_is_written(pair, tmp_path, change, said):
    models, _ = pair
    change(models[1])
    with pytest.raises(UserError, match=said) as caught:
        merge(models, tmp_path / "soup")
    assert "\n" not in str(caught.value)
    assert str(models[1]) in str(caught.value)
    assert not (tmp_path / "soup").exists()


def test_versions_of_libraries_and_the_last_padding_do_not_matter(pair, tmp_path):
    models, _ = pair
    edited(models[1], "config_sentence_transformers.json", lambda c: c["__version__"].update(pytorch="1.0"))
    edited(models[1], "config.json", lambda c: c.update(transformers_version="4.0"))
    edited(models[1], "tokenizer.json", lambda c: c.update(truncation=None, padding=None))
    merge(models, tmp_path / "soup")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"weights": [1.0]}, "1 numbers for 2 models"),
        ({"weights": [1.0, -1.0]}, "above 0"),
        ({"share": 0.5}, "belong together"),
        ({"base": True}, "belong together"),
        ({"base": True, "share": 1.5}, "above 0"),
        ({"base": True, "share": 0.0}, "above 0"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(pair, tmp_path, arguments, said):
    models, base = pair
    if "base" in arguments:
        arguments = arguments | {"base": base}
    with pytest.raises(UserError, match=said):
        merge(models, tmp_path / "soup", **arguments)
    with pytest.raises(UserError, match="its own average"):
        merge(models[:1], tmp_path / "soup")


@pytest.mark.parametrize("kind", ["encoder", "static"])
def test_a_base_is_written_as_trained_models_are_and_mixed_with_them(kind, tmp_path):
    """Half way: theta_base + (theta - theta_base) / 2, of a base that lacks Normalize and has prompts of its own."""
    own = {"query": "search: ", "document": ""}
    base = save_static(tmp_path / "raw") if kind == "static" else save_embedder("bert", tmp_path / "raw", prompts=own)
    model = Model(name="m", base=str(base), lora=Lora() if kind == "encoder" else None)
    save_base(tmp_path / "base", BaseJob(model=model, encoding=ENCODING))
    plain = SentenceTransformer(str(base), device="cpu").encode(TEXTS, normalize_embeddings=True, prompt="")
    np.testing.assert_allclose(
        SentenceTransformer(str(tmp_path / "base"), device="cpu").encode(TEXTS), plain, atol=1e-5
    )
    trained = other(tmp_path / "base", tmp_path / "trained", 1)
    edited(trained, "config_sentence_transformers.json", lambda c: c["prompts"].update(task="t: "))
    merge([trained], tmp_path / "half", base=tmp_path / "base", share=0.75)
    before, after, found = states(tmp_path / "base", trained, tmp_path / "half")
    for name, tensor in found.items():
        if tensor.is_floating_point():
            expected = before[name].double() + 0.75 * (after[name].double() - before[name].double())
            assert torch.allclose(tensor.double(), expected, atol=1e-6)
    assert SentenceTransformer(str(tmp_path / "half"), device="cpu").prompts["task"] == "t: "


@pytest.mark.parametrize("method", ["linear", "multislerp"])
def test_a_share_of_1_leaves_nothing_of_the_base(pair, tmp_path, method):
    models, base = pair
    merge(models[:1], tmp_path / "alone", base=base, share=1, method=method)
    merge(models, tmp_path / "whole", base=base, share=1, method=method)
    merge(models, tmp_path / "without", method=method)
    for file in ("model.safetensors", "2_Dense/model.safetensors"):
        assert (tmp_path / "alone" / file).read_bytes() == (models[0] / file).read_bytes()
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "without" / file).read_bytes()


def test_a_base_that_finds_nothing_or_is_another_is_refused(pair, tmp_path):
    models, _ = pair
    bare = Model(name="m", base=str(save_bare("bert", tmp_path / "bare")))
    with pytest.raises(UserError, match="is no embedding model"):
        save_base(tmp_path / "written", BaseJob(model=bare))
    broken = save_embedder("bert", tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    save_file(tensors | {"embeddings.LayerNorm.bias": torch.full((32,), torch.nan)}, broken / "model.safetensors")
    with pytest.raises(UserError, match=r"the base \S+/broken holds values that are not finite in \S*LayerNorm\.bias"):
        save_base(tmp_path / "written", BaseJob(model=Model(name="m", base=str(broken)), encoding=ENCODING))
    assert not (tmp_path / "written").exists()
    wrong = save_embedder("bert", tmp_path / "mean", Dense(32, 16), pooling="mean")
    with pytest.raises(UserError, match="the way of pooling is another"):
        merge(models, tmp_path / "soup", base=wrong, share=0.5)
    with pytest.raises(UserError, match="2_Dense has no tensor"):
        merge(models, tmp_path / "soup", base=save_embedder("bert", tmp_path / "without"), share=0.5)


def test_the_card_says_what_was_averaged_and_nothing_of_this_machine(project, tmp_path, capsys):
    models = [project.train(f"seed1/{name}/model", project.train_job(steps=n)) for n, name in ((2, "a"), (3, "b"))]
    main(["merge", *map(str, models), "--output", str(tmp_path / "soup"), "--weights", "3,1"])
    card = (tmp_path / "soup/README.md").read_text()
    assert "| a | 0.75 |\n| b | 0.25 |" in card
    assert card.index("## What it is the average of") < card.index("## How it was trained")
    assert str(tmp_path) not in card
    assert load_trained(tmp_path / "soup").encode(["alpha"]).shape == (1, 32)
    with pytest.raises(SystemExit) as caught:
        main(["merge", *map(str, models), "--output", str(tmp_path / "uniform.json")])
    assert "is no SentenceTransformer folder; name another output" in str(caught.value)


MEASURED = """
import resource, sys
from pathlib import Path
from tdro.training.merge import merge
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
merge([Path(p) for p in sys.argv[2:]], Path(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_is_that_of_tensors_and_not_of_models(tmp_path):
    base, layers, size = save_static(tmp_path / "base"), 24, 1_000_000
    tensors = load_file(base / "model.safetensors")
    for seed in range(4):
        model = shutil.copytree(base, tmp_path / f"m{seed}")
        more = {f"layer{n}": torch.full((size,), float(seed + n)) for n in range(layers)}
        save_file(tensors | more, model / "model.safetensors", {"format": "pt"})
    models = [str(tmp_path / f"m{seed}") for seed in range(4)]
    line = [sys.executable, "-c", MEASURED, str(tmp_path / "soup"), *models]
    found = subprocess.run(line, check=True, capture_output=True, text=True)
    kilobytes = int(found.stdout.split()[-1])
    assert kilobytes < 10 * size * 4 / 1000 < layers * size * 4 / 1000  # of models that have 96 MB each
    assert header_bytes(tmp_path / "soup/model.safetensors") == header_bytes(tmp_path / "m0/model.safetensors")
    assert load_file(tmp_path / "soup/model.safetensors")["layer3"].unique().tolist() == [4.5]
