import numpy as np
import pytest
import torch
from basemodels import TEXTS, check_saved, load, save_bare, train

from tdro.config.models import Lora
from tdro.models.networks import merge_adapters


@pytest.mark.parametrize("kind", ["bert", "modernbert", "t5", "gemma3", "qwen3", "qwen3_both_ways"])
def test_a_base_is_cut_to_its_first_layers_and_stays_cut(kind, tmp_path):
    base = save_bare(kind, tmp_path / "base")
    one, both = load(base, layers=1), load(base)
    weights = [sum(p.numel() for p in model.parameters()) for model in (one, both)]
    assert weights[0] < weights[1]
    assert np.abs(one.encode(TEXTS) - both.encode(TEXTS)).max() > 1e-3
    theirs = check_saved(train(one), tmp_path / "model")
    assert sum(p.numel() for p in theirs.parameters()) == weights[0]


def test_merged_adapters_give_the_same_embeddings(tiny_base):
    retriever = load(tiny_base, lora=Lora(rank=2))
    trained = [parameter for parameter in retriever.parameters() if parameter.requires_grad]
    with torch.no_grad():
        for parameter in trained:
            parameter.normal_(std=0.3)
    apart = retriever.encode(TEXTS)
    merge_adapters(retriever[0].auto_model)
    np.testing.assert_allclose(retriever.encode(TEXTS), apart, atol=1e-4)
    assert np.abs(apart - load(tiny_base).encode(TEXTS)).max() > 0.01
