"""The loss at several dimensions, against sentence-transformers' own and against numpy."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
)

from tdro.config.dimensions import check_trained
from tdro.config.models import Encoding, Model
from tdro.errors import UserError
from tdro.models.bases import load_retriever
from tdro.training.collate import batch_of
from tdro.training.losses import ContrastiveLoss
from tdro.training.meter import Meter

ENCODING = Encoding(query_length=16, passage_length=48, precision="fp32")
DIMENSIONS = [32, 20, 3]
TEXTS = [
    ["alpha", "beta gamma", "delta", "alpha beta gamma", "epsilon", "mu"],
    ["kappa lambda mu", "alpha", "beta " * 7, "gamma delta", "zeta eta theta iota", "mu mu"],
    ["iota", "mu " * 12, "alpha", "lambda", "eta zeta", "theta delta"],
]


@pytest.fixture
def retriever(tiny_base):
    return load_retriever(Model(name="tiny", base=str(tiny_base)), ENCODING)


def columns(retriever):
    return [retriever.preprocess(texts) for texts in TEXTS]


def gradients(retriever, loss, limit=None):
    retriever.zero_grad()
    features = [dict(column) for column in columns(retriever)]
    ours = isinstance(loss, ContrastiveLoss)
    value = loss(batch_of(features, limit), range(6)) if ours else loss(features, torch.arange(6))
    value.backward()
    return value.item(), torch.cat([p.grad.flatten() for p in retriever.parameters() if p.grad is not None])


@pytest.mark.parametrize("limit", [None, 40])
@pytest.mark.parametrize("dimensions", [DIMENSIONS, [32], [16, 4]])
def test_loss_and_gradients_are_those_of_sentence_transformers(retriever, dimensions, limit):
    found = gradients(retriever, ContrastiveLoss(retriever, 0.05, dimensions=dimensions), limit)
    for plain in (
        MultipleNegativesRankingLoss(retriever, 20),
        CachedMultipleNegativesRankingLoss(retriever, 20, mini_batch_size=4),
    ):
        value, gradient = gradients(retriever, MatryoshkaLoss(retriever, plain, dimensions))
        assert found[0] == pytest.approx(value, rel=1e-5)
        torch.testing.assert_close(found[1], gradient, atol=2e-4, rtol=1e-4)


def test_without_dimensions_and_with_the_models_own_the_loss_is_the_same(retriever):
    for one, other in zip(
        gradients(retriever, ContrastiveLoss(retriever, 0.05)),
        gradients(retriever, ContrastiveLoss(retriever, 0.05, dimensions=[32])),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


def cut(vectors, size):
    kept = vectors[:, :size]
    return kept / np.linalg.norm(kept, axis=1, keepdims=True)


class Known:
    """Known positives that leave one passage out of one row's sum."""

    def __init__(self, row, passage):
        self.row, self.passage = row, passage

    def mask(self, batch, first, number):
        mask = torch.zeros(number, 2 * len(batch), dtype=torch.bool)
        mask[self.row, self.passage] = True
        return mask


@given(st.integers(0, 2**32 - 1), st.sets(st.integers(1, 8), min_size=1), st.integers(0, 3))
def test_the_loss_is_the_sum_over_embeddings_cut_and_scaled_anew_without_known_positives(seed, dimensions, row):
    rng = np.random.default_rng(seed)
    queries, positives, negatives = (rng.normal(size=(4, 8)) for _ in range(3))
    left_out = (row, (row + 1) % 4)
    expected = 0
    for size in dimensions:
        scores = cut(queries, size) @ cut(np.vstack([positives, negatives]), size).T / 0.5
        kept = np.exp(scores)
        kept[left_out] = 0
        expected += np.mean(np.log(kept.sum(1)) - scores[np.arange(4), np.arange(4)])
    loss = ContrastiveLoss(
        torch.nn.Identity(), 0.5, known=Known(*left_out), dimensions=sorted(dimensions, reverse=True)
    )
    tensors = [torch.tensor(vectors) for vectors in (queries, positives, negatives)]
    assert loss.compute_loss_from_embeddings(tensors, torch.arange(4)).item() == pytest.approx(expected, rel=1e-4)


def test_a_tasks_factor_scales_the_sum_and_the_meter_shows_it_unscaled(retriever):
    plain = gradients(retriever, ContrastiveLoss(retriever, 0.05, dimensions=DIMENSIONS))
    meter, factors = Meter(["red"] * 6), torch.full((6,), 2.5)
    scaled = gradients(retriever, ContrastiveLoss(retriever, 0.05, factors=factors, meter=meter, dimensions=DIMENSIONS))
    assert scaled[0] == pytest.approx(2.5 * plain[0], rel=1e-6)
    torch.testing.assert_close(scaled[1], 2.5 * plain[1], atol=5e-4, rtol=1e-4)
    assert meter.read()["task_loss/red"] == pytest.approx(plain[0], abs=1e-4)


def test_a_dimension_that_a_model_lacks_is_refused_and_untrained_whole_embeddings_are_warned_of(caplog):
    with pytest.raises(UserError, match=r"`training.matryoshka` names 64 dimensions, but .* model 'tiny' have 32"):
        check_trained("tiny", 32, [64, 16])
    check_trained("tiny", 32, [])
    check_trained("tiny", 32, [32, 16])
    assert not caplog.records
    check_trained("tiny", 32, [16, 8])
    assert "does not name 32, the dimensions of model 'tiny'" in caplog.text
