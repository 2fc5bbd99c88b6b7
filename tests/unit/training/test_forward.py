"""Texts sorted by length and embedded in groups, against sentence-transformers' column by column."""

import copy

import pytest
import torch
from basemodels import save_bare
from flattening import flatten, pretend_flash_attention
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.data_collator import SentenceTransformerDataCollator
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)

from tdro.config.models import Encoding, Lora, Model
from tdro.errors import UserError
from tdro.models.bases import load_retriever
from tdro.models.features import text_lengths
from tdro.training.collate import COST, batch_of
from tdro.training.finite import check_finite
from tdro.training.forward import embed
from tdro.training.losses import ContrastiveLoss
from tdro.training.meter import Meter

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
    for ours, expected in zip(embed(retriever, batch_of(features)), alone, strict=True):
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


def gradients(retriever, loss, features, limit=None):
    retriever.zero_grad()
    ours = isinstance(loss, ContrastiveLoss)
    value = loss(batch_of(features, limit), range(8)) if ours else loss(list(map(dict, features)), torch.arange(8))
    value.backward()
    return value.item(), torch.cat([p.grad.flatten() for p in retriever.parameters() if p.grad is not None])


@pytest.mark.parametrize("side", ["right", "left"])
def test_cached_gradients_are_those_of_sentence_transformers_cached_loss_and_of_the_plain_one(retriever, side):
    retriever.tokenizer.padding_side = side
    features = columns(retriever)
    ours = gradients(retriever, ContrastiveLoss(retriever, 0.05), features, 40)
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
            found.append(gradients(retriever, ContrastiveLoss(retriever, 0.05), features, limit))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-5, rtol=1e-4)


def passes(retriever, features, limit=None):
    """Attention masks of the forward passes that a batch takes."""
    seen = []
    handle = retriever[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]["attention_mask"]))
    embed(retriever, batch_of(features, limit))
    handle.remove()
    return seen


@pytest.mark.parametrize("limit", [20, 40, 100])
def test_a_pass_holds_no_more_tokens_than_allowed(retriever, limit):
    masks = passes(retriever, columns(retriever), limit)
    assert all(mask.numel() <= limit or len(mask) == 1 for mask in masks)
    assert sum(len(mask) for mask in masks) == len({*QUERIES, *POSITIVES, *NEGATIVES})


def test_a_text_that_stands_in_a_batch_several_times_is_embedded_once(retriever):
    texts = [QUERIES[0], QUERIES[1], QUERIES[0], QUERIES[0]]
    features = [retriever.preprocess(texts, task="query"), retriever.preprocess(texts[::-1], task="query")]
    assert sum(len(mask) for mask in passes(retriever, features)) == 2
    first, second = embed(retriever, batch_of(features))
    torch.testing.assert_close(first, retriever(features[0])["sentence_embedding"], atol=1e-6, rtol=0)
    assert torch.equal(second, first.flip(0))


def test_the_meter_hears_of_every_token(retriever):
    features = columns(retriever)
    meter = Meter(["red"] * 8 + ["blue"] * 8)
    loss = ContrastiveLoss(retriever, 0.05, meter=meter)(batch_of(features), range(8, 16))
    found = meter.read()
    assert set(found) == {"tokens_per_second", "padding", "memory_gb", "task_loss/blue"}
    masks = passes(retriever, features)
    computed, tokens = sum(mask.numel() for mask in masks), sum(int(mask.sum()) for mask in masks)
    assert found["task_loss/blue"] == pytest.approx(loss.item(), abs=1e-4)
    assert found["padding"] == pytest.approx(1 - tokens / computed, abs=1e-4)
    assert "task_loss/blue" not in meter.read()


def test_rows_that_are_not_finite_are_named_when_somebody_asks(retriever):
    features = columns(retriever)
    broken = features[2]["input_ids"][3, 0]
    with torch.no_grad():
        retriever[0].auto_model.embed_tokens.weight[broken] = float("nan")
    rows = [i for i in range(8) if any((column["input_ids"][i] == broken).any() for column in features)]
    values = torch.stack([e.sum(dim=1) for e in embed(retriever, batch_of(features))], dim=1)
    numbers, meter = range(100, 108), Meter(["red"] * 108)
    with pytest.raises(UserError, match=rf"not finite for {len(rows)} of 8 rows, in the plan row {100 + rows[0]}"):
        check_finite(values, numbers)
    ContrastiveLoss(retriever, 0.05, meter=meter)(batch_of(features), numbers)
    for ask in (meter.check, meter.read):
        with pytest.raises(UserError, match="not finite for 8 of 8 rows, in the plan row 100"):  # they share the loss
            ask()


def collated(retriever):
    """The same columns as the trainer gets them, from the library's own collator."""
    collator = SentenceTransformerDataCollator(
        retriever.preprocess, router_mapping={"query": "query", "positive": "document", "negative_1": "document"}
    )
    rows = zip(QUERIES, POSITIVES, NEGATIVES, strict=True)
    batch = collator([{"query": q, "positive": p, "negative_1": n, "label": 0} for q, p, n in rows])
    return [
        {key.removeprefix(f"{name}_"): value for key, value in batch.items() if key.startswith(f"{name}_")}
        for name in ("query", "positive", "negative_1")
    ]


@pytest.fixture
def flat(retriever, monkeypatch):
    """The same retriever, with texts flattened as for flash attention."""
    pretend_flash_attention(monkeypatch)
    return flatten(copy.deepcopy(retriever))


def test_flattened_texts_have_the_embeddings_of_padded_ones(retriever, flat):
    features = collated(flat)
    assert all("cu_seq_lens_q" in column and "attention_mask" not in column for column in features)
    for ours, expected in zip(
        embed(flat, batch_of(features)), embed(retriever, batch_of(collated(retriever))), strict=True
    ):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)
    for column, texts in zip(features, (QUERIES, POSITIVES, NEGATIVES), strict=True):
        lengths = [len(retriever.tokenizer(text)["input_ids"]) for text in texts]
        limit = 16 if texts is QUERIES else 48
        assert text_lengths(column) == [min(length, limit) for length in lengths]


@pytest.mark.parametrize("limit", [None, 20, 40, 10_000])
def test_flattened_texts_give_the_gradients_of_padded_ones(retriever, flat, limit):
    ours = gradients(flat, ContrastiveLoss(flat, 0.05), collated(flat), limit)
    expected = gradients(retriever, ContrastiveLoss(retriever, 0.05), collated(retriever))
    assert ours[0] == pytest.approx(expected[0], abs=1e-5)
    torch.testing.assert_close(ours[1], expected[1], atol=1e-4, rtol=1e-4)


def test_flattened_texts_go_through_once_without_padding(flat):
    texts = {*QUERIES, *POSITIVES, *NEGATIVES}
    seen = []
    flat[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    meter = Meter(["red"])
    embed(flat, batch_of(collated(flat)), meter)
    assert [len(batch["cu_seq_lens_q"]) - 1 for batch in seen] == [len(texts)]
    assert meter.read()["padding"] == 0
    seen.clear()
    embed(flat, batch_of(collated(flat), 40))
    assert sum(len(batch["cu_seq_lens_q"]) - 1 for batch in seen) == len(texts)
    assert len(seen) > 1
    assert all(batch["input_ids"].numel() <= 40 or len(batch["cu_seq_lens_q"]) == 2 for batch in seen)
    for batch in seen:
        ends = batch["cu_seq_lens_q"]
        assert ends.dtype == torch.int32
        assert ends[-1] == batch["input_ids"].numel() == batch["position_ids"].numel() == batch["seq_idx"].numel()
        assert batch["max_length_q"] == max(ends.diff().tolist())
        assert batch["position_ids"][0].tolist() == [i for n in ends.diff().tolist() for i in range(n)]


@pytest.mark.parametrize("kind", ["xlm_roberta", "modernbert"])
def test_positions_of_flattened_texts_start_where_the_model_wants_them(kind, tmp_path, monkeypatch):
    padded = SentenceTransformer(str(save_bare(kind, tmp_path)), device="cpu")
    pretend_flash_attention(monkeypatch)
    flat = flatten(copy.deepcopy(padded))
    found, expected = (embed(model, batch_of(columns(model))) for model in (flat, padded))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("limit", [None, 40])
def test_a_process_with_fewer_passes_makes_spare_ones_whose_gradient_is_zero(flat, monkeypatch, limit):
    """Several processes must make as many passes; here another is pretended to make nine."""
    from tdro.training import forward

    alone = gradients(flat, ContrastiveLoss(flat, 0.05), collated(flat), limit)
    seen = []
    flat[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]["input_ids"].numel()))
    monkeypatch.setattr(forward, "most", lambda numbers: [9])
    found = gradients(flat, ContrastiveLoss(flat, 0.05), collated(flat), limit)
    assert len(seen) == (18 if limit else 9)  # with cached gradients each is made again
    assert min(seen) == seen[8]
    assert found[0] == alone[0]
    torch.testing.assert_close(found[1], alone[1], atol=1e-6, rtol=0)
