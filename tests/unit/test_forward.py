"""Texts sorted by length and embedded in groups, against sentence-transformers' column by column."""

import pytest
import torch
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)

from tdro.config import Encoding, Lora, Model
from tdro.errors import UserError
from tdro.forward import COST, embed_columns
from tdro.losses import ContrastiveLoss
from tdro.meter import Meter
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

    ours = gradients(retriever, ContrastiveLoss(retriever, 0.05), features)
    peer = gradients(retriever, MultipleNegativesRankingLoss(retriever, 20), features)
    assert ours[0] == pytest.approx(peer[0], abs=1e-5)
    torch.testing.assert_close(ours[1], peer[1], atol=1e-4, rtol=1e-4)


def test_each_text_goes_through_the_model_once_in_groups(retriever, monkeypatch):
    monkeypatch.setitem(COST, "cpu", 5)
    masks = passes(retriever, columns(retriever))
    assert sum(len(mask) for mask in masks) == len({*QUERIES, *POSITIVES, *NEGATIVES})
    assert len(masks) > 2
    assert sum(int(mask.sum()) for mask in masks) >= 0.85 * sum(mask.numel() for mask in masks)


def gradients(retriever, loss, features):
    retriever.zero_grad()
    value = loss([dict(column) for column in features], torch.arange(8))
    value.backward()
    return value.item(), torch.cat([p.grad.flatten() for p in retriever.parameters() if p.grad is not None])


@pytest.mark.parametrize("side", ["right", "left"])
def test_cached_gradients_are_those_of_sentence_transformers_cached_loss_and_of_the_plain_one(retriever, side):
    retriever.tokenizer.padding_side = side
    features = columns(retriever)
    ours = gradients(retriever, ContrastiveLoss(retriever, 0.05, mini_batch_tokens=40), features)
    peer = CachedMultipleNegativesRankingLoss(retriever, 20, mini_batch_size=3)
    for expected in (
        gradients(retriever, peer, features),
        gradients(retriever, ContrastiveLoss(retriever, 0.05), features),
    ):
        assert ours[0] == pytest.approx(expected[0], abs=1e-5)
        torch.testing.assert_close(ours[1], expected[1], atol=1e-4, rtol=1e-4)


def test_cached_gradients_replay_dropout(tiny_base):
    """Without the same masks the second pass would belong to other embeddings than the gradient."""
    lora = Lora(rank=4, dropout=0.5)
    retriever = load_retriever(Model(name="tiny", base=str(tiny_base), lora=lora), ENCODING).train()
    with torch.no_grad():
        for name, parameter in retriever.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    features = columns(retriever)
    found = []
    for limit in (None, 10_000):  # the limit holds the whole batch, so that the masks are drawn alike
        torch.manual_seed(5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(COST, "cpu", 100_000)
            found.append(gradients(retriever, ContrastiveLoss(retriever, 0.05, mini_batch_tokens=limit), features))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-5, rtol=1e-4)


def passes(retriever, features, **keys):
    """Attention masks of the forward passes that a batch takes."""
    seen = []
    handle = retriever[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]["attention_mask"]))
    embed_columns(retriever, features, **keys)
    handle.remove()
    return seen


@pytest.mark.parametrize("limit", [20, 40, 100])
def test_a_pass_holds_no_more_tokens_than_allowed(retriever, limit):
    masks = passes(retriever, columns(retriever), mini_batch_tokens=limit)
    assert all(mask.numel() <= limit or len(mask) == 1 for mask in masks)
    assert sum(len(mask) for mask in masks) == len({*QUERIES, *POSITIVES, *NEGATIVES})


def test_a_text_that_stands_in_a_batch_several_times_is_embedded_once(retriever):
    texts = [QUERIES[0], QUERIES[1], QUERIES[0], QUERIES[0]]
    features = [retriever.preprocess(texts, task="query"), retriever.preprocess(texts[::-1], task="query")]
    assert sum(len(mask) for mask in passes(retriever, features)) == 2
    first, second = embed_columns(retriever, features)
    torch.testing.assert_close(first, retriever(features[0])["sentence_embedding"], atol=1e-6, rtol=0)
    assert torch.equal(second, first.flip(0))


def test_the_meter_hears_of_every_token(retriever):
    features = columns(retriever)
    meter = Meter(["red"] * 8 + ["blue"] * 8)
    loss = ContrastiveLoss(retriever, 0.05, meter=meter)(features, torch.arange(8, 16))
    found = meter.read()
    assert set(found) == {"tokens_per_second", "padding", "memory_gb", "task_loss/blue"}
    masks = passes(retriever, features)
    computed, tokens = sum(mask.numel() for mask in masks), sum(int(mask.sum()) for mask in masks)
    assert found["task_loss/blue"] == pytest.approx(loss.item(), abs=1e-4)
    assert found["padding"] == pytest.approx(1 - tokens / computed, abs=1e-4)
    assert "task_loss/blue" not in meter.read()


def test_rows_that_are_not_finite_are_named(retriever):
    features = columns(retriever)
    broken = features[2]["input_ids"][3, 0]
    with torch.no_grad():
        retriever[0].auto_model.embed_tokens.weight[broken] = float("nan")
    rows = [i for i in range(8) if any((column["input_ids"][i] == broken).any() for column in features)]
    numbers = torch.arange(100, 108)
    with pytest.raises(UserError, match=rf"not finite for {len(rows)} of 8 rows, in the plan row {100 + rows[0]}"):
        ContrastiveLoss(retriever, 0.05)(features, numbers)
