"""Texts sorted by length and embedded in groups, against sentence-transformers' column by column."""

import pytest
import torch
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from tdro.config import Encoding, Model
from tdro.errors import UserError
from tdro.forward import COST, embed_columns
from tdro.losses import ContrastiveLoss
from tdro.models import load_retriever

ENCODING = Encoding(query_length=16, passage_length=48, precision="fp32")
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"]
QUERIES = [" ".join(WORDS[i : i + 1 + i % 3]) for i in range(8)]
POSITIVES = [" ".join(WORDS[: 1 + i]) for i in range(8)]
NEGATIVES = ["mu " * (9 - i) for i in range(8)]


@pytest.fixture
def retriever(tiny_base):
    return load_retriever(Model(name="tiny", base=str(tiny_base)), ENCODING)


def columns(retriever):
    tasks = (("query", QUERIES), ("document", POSITIVES), ("document", NEGATIVES))
    return [retriever.preprocess(texts, task=task) for task, texts in tasks]


@pytest.mark.parametrize("side", ["right", "left"])
def test_embeddings_loss_and_gradients_are_those_of_each_column_by_itself(retriever, side):
    retriever.tokenizer.padding_side = side
    features = columns(retriever)
    alone = [retriever(dict(column))["sentence_embedding"] for column in features]
    for ours, expected in zip(embed_columns(retriever, features), alone, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)

    def gradients(loss):
        retriever.zero_grad()
        value = loss([dict(column) for column in features], torch.arange(8))
        value.backward()
        return value.item(), torch.cat([p.grad.flatten() for p in retriever.parameters() if p.grad is not None])

    ours, peer = gradients(ContrastiveLoss(retriever, 0.05)), gradients(MultipleNegativesRankingLoss(retriever, 20))
    assert ours[0] == pytest.approx(peer[0], abs=1e-5)
    torch.testing.assert_close(ours[1], peer[1], atol=1e-4, rtol=1e-4)


def test_each_text_goes_through_the_model_once_in_groups(retriever, monkeypatch):
    monkeypatch.setitem(COST, "cpu", 5)
    passes = []
    retriever[0].register_forward_pre_hook(lambda module, inputs: passes.append(inputs[0]["attention_mask"]))
    embed_columns(retriever, columns(retriever))
    assert sum(mask.shape[0] for mask in passes) == 24
    assert len(passes) > 2
    assert sum(int(mask.sum()) for mask in passes) >= 0.85 * sum(mask.numel() for mask in passes)


def test_rows_that_are_not_finite_are_named(retriever):
    features = columns(retriever)
    broken = features[2]["input_ids"][3, 0]
    with torch.no_grad():
        retriever[0].auto_model.embed_tokens.weight[broken] = float("nan")
    rows = [i for i in range(8) if any((column["input_ids"][i] == broken).any() for column in features)]
    numbers = torch.arange(100, 108)
    with pytest.raises(UserError, match=rf"not finite for {len(rows)} of 8 rows, in the plan row {100 + rows[0]}"):
        ContrastiveLoss(retriever, 0.05)(features, numbers)
