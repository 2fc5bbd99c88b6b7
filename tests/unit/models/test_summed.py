import numpy as np
import pytest
import torch
from basemodels import NETWORKS, load, save_bare, save_static
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer

from tdro.errors import UserError
from tdro.models.load import load_trained
from tdro.models.summed import Summed


def written(model, folder):
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def moved(model, folder, seed, scale=0.1):
    """The same model with every number changed, as a training leaves it."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * torch.randn_like(parameter)
    return written(model, folder)


def family(kind, folder):
    """A warm-up of a kind of base, and two experts that went on from it."""

    def made():
        if kind == "static":
            return load(save_static(folder / "base"))
        if kind == "dense":
            bare = save_bare("bert", folder / "bare")
            modules = [Transformer(str(bare), max_seq_length=20), Pooling(32), Dense(32, 8)]
            return SentenceTransformer(modules=modules, device="cpu")
        return load(save_bare(kind, folder / "base"))

    torch.manual_seed(0)
    written(made(), folder / "warmup")
    experts = [moved(load_trained(folder / "warmup"), folder / f"expert{n}", n) for n in (1, 2)]
    return folder / "warmup", experts


def parameters(model):
    return {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize("kind", ["static", "dense", *NETWORKS])
def test_a_sum_is_that_of_the_parameters_whatever_the_kind(kind, tmp_path):
    warmup, experts = family(kind, tmp_path)
    model = load_trained(warmup)
    summed = Summed(model, warmup, experts)
    start, ends = parameters(model), [parameters(load_trained(folder)) for folder in experts]

    def check(shares, atol):
        summed.put(shares)
        for name, value in parameters(model).items():
            expected = start[name] + sum(s * (end[name] - start[name]) for s, end in zip(shares, ends, strict=True))
            torch.testing.assert_close(value, expected, rtol=0, atol=atol)

    check([0.3, 0.7], 2e-6)
    check([1.0, 0.0], 1e-6)  # the first expert
    found = model.encode(["alpha beta", "gamma"])
    np.testing.assert_allclose(found, load_trained(experts[0]).encode(["alpha beta", "gamma"]), atol=1e-5)
    check([0.0, 0.0], 0)  # the warm-up again, to the bit: nothing is left of what was put before
    check([-0.5, 2.0], 5e-6)


def test_models_of_another_shape_are_refused(tmp_path):
    warmup, experts = family("bert", tmp_path)
    other = written(load(save_bare("qwen3", tmp_path / "other")), tmp_path / "odd")
    with pytest.raises(UserError, match=r"warmup and .*odd cannot be averaged"):
        Summed(load_trained(warmup), warmup, [experts[0], other])


def test_a_loaded_model_that_is_not_the_stored_one_is_refused(tmp_path):
    warmup, experts = family("static", tmp_path)
    with pytest.raises(UserError, match=r"embedding\.weight are not found in the loaded model"):
        Summed(load_trained(experts[0]), warmup, experts)
