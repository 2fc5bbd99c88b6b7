import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from tdro.training.losses import ContrastiveLoss, own_negatives_loss


def unit(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


def peer(scale):
    """The loss of sentence-transformers; the embeddings come from us, so it needs no model."""
    return MultipleNegativesRankingLoss(torch.nn.Identity(), scale=scale)


@pytest.mark.parametrize("temperature", [0.002, 0.05, 1.0])
def test_own_negatives_loss_is_sentence_transformers_loss_on_each_row_alone(temperature):
    queries, passages = unit(6, 8), unit(6, 4, 8, seed=1)
    ours = own_negatives_loss(queries, passages, temperature)
    alone = [
        peer(1 / temperature).compute_loss_from_embeddings([q[None], *(p[None] for p in row)], None)
        for q, row in zip(queries, passages, strict=True)
    ]
    assert ours.tolist() == pytest.approx([x.item() for x in alone], rel=1e-5, abs=1e-5)


def test_contrastive_loss_is_sentence_transformers_loss():
    columns = [unit(6, 8, seed=s) for s in range(3)]
    ours = ContrastiveLoss(torch.nn.Identity(), 0.05).compute_loss_from_embeddings(columns, None)
    assert ours.item() == pytest.approx(peer(20).compute_loss_from_embeddings(columns, None).item(), rel=1e-6)


def test_similarities_keep_float32_inside_autocast():
    columns = [unit(6, 64, seed=s) for s in range(3)]
    exact = ContrastiveLoss(torch.nn.Identity(), 0.002).compute_loss_from_embeddings(columns, None)
    own = own_negatives_loss(columns[0], torch.stack(columns[1:], 1), 0.002)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ContrastiveLoss(torch.nn.Identity(), 0.002).compute_loss_from_embeddings(columns, None) == exact
        assert torch.equal(own_negatives_loss(columns[0], torch.stack(columns[1:], 1), 0.002), own)
        rounded = peer(500).compute_loss_from_embeddings(columns, None)
    assert abs(rounded - exact) > 0.01, "the peer rounds, or this test shows nothing"


class Unasked:
    """Known positives that nobody may ask for."""

    def mask(self, *arguments):
        pytest.fail("a row with its own negatives only has nothing to leave out")


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 99))
def test_rows_of_a_task_without_in_batch_negatives_have_the_loss_of_each_row_alone(rows, negatives, seed):
    raw = [unit(rows, 8, seed=seed + c).requires_grad_() for c in range(2 + negatives)]
    columns = [torch.nn.functional.normalize(column, dim=1) for column in raw]
    loss = ContrastiveLoss(torch.nn.Identity(), 0.05, Unasked(), alone=torch.tensor([False, True]))
    ours = loss.compute_loss_from_embeddings(columns, torch.ones(rows, dtype=torch.long))
    expected = own_negatives_loss(columns[0], torch.stack(columns[1:], dim=1), 0.05).mean()
    assert ours.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
    mine, theirs = (torch.autograd.grad(loss, raw, retain_graph=True) for loss in (ours, expected))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_other_tasks_of_the_same_training_keep_the_passages_of_the_batch():
    columns = [unit(6, 8, seed=s) for s in range(3)]
    loss = ContrastiveLoss(torch.nn.Identity(), 0.05, alone=torch.tensor([False, True]))
    whole = loss.compute_loss_from_embeddings(columns, torch.zeros(6, dtype=torch.long))
    assert whole.item() == pytest.approx(peer(20).compute_loss_from_embeddings(columns, None).item(), rel=1e-6)
