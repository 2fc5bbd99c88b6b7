"""A loaded model that takes on other weights is that other model: against it loaded from its own folder."""

import shutil

import numpy as np
import pytest
import torch
from basemodels import TEXTS, save_embedder, save_static
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense

from tdro.errors import UserError
from tdro.models.ingredients import Ingredients
from tdro.models.inplace import InPlace
from tdro.models.load import load_trained
from tdro.training.merge import merge

KINDS = {
    "network": lambda folder: save_embedder("bert", folder),
    "decoder": lambda folder: save_embedder("qwen3", folder, pooling="lasttoken"),
    "dense": lambda folder: save_embedder("bert", folder, Dense(32, 16)),
    "static": save_static,
}


def other(folder, output, seed):
    model = SentenceTransformer(str(folder), device="cpu")
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(str(output), create_model_card=False)
    return output


@pytest.mark.parametrize("kind", KINDS)
def test_averages_in_memory_are_those_on_disk(kind, tmp_path):
    base = KINDS[kind](tmp_path / "base")
    models = [other(base, tmp_path / f"m{seed}", seed) for seed in range(2)]
    ingredients, model = Ingredients(models, base), load_trained(models[0])
    loaded = InPlace(model, models[0])
    for share in (0.25, 1.0):
        merge(models, tmp_path / "soup", base=base, share=share)
        shares = ingredients.shares(share)
        loaded.put(lambda part, name, shares=shares: ingredients.averaged(part, name, shares, "linear"))
        np.testing.assert_array_equal(model.encode(TEXTS), load_trained(tmp_path / "soup").encode(TEXTS))
    for shares, folder in zip(ingredients.alone(), [*models, base], strict=True):
        loaded.put(lambda part, name, shares=shares: ingredients.averaged(part, name, shares, "multislerp"))
        np.testing.assert_array_equal(model.encode(TEXTS), load_trained(folder).encode(TEXTS))
    assert ingredients.names == ["m0", "m1", "base"]


def test_weights_that_the_loaded_model_has_elsewhere_are_named(tmp_path):
    folder = save_static(tmp_path / "base")
    model = load_trained(folder)
    weights = load_file(folder / "model.safetensors")
    copy = shutil.copytree(folder, tmp_path / "changed")
    save_file({name: tensor + 1 for name, tensor in weights.items()}, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"the weights embedding\.weight are not found in the loaded model"):
        InPlace(model, copy)
    save_file(weights | {"more": torch.zeros(2)}, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="the weights more are not found"):
        InPlace(model, copy)
