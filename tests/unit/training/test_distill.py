"""The loss with distillation from a cross-encoder, against its formula and sentence-transformers' divergence."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss
from sentence_transformers.util import pairwise_cos_sim

from tdro.config.models import Encoding, Model
from tdro.config.training import Distill
from tdro.models.bases import load_retriever
from tdro.training.collate import batch_of
from tdro.training.distill import Distillation
from tdro.training.losses import ContrastiveLoss

scores = st.one_of(st.floats(-12, 12, width=32), st.just(math.nan))


class Masked:
    """Known positives of a batch, as a mask of their places."""

    def __init__(self, mask):
        self.mask = lambda batch, first, number: mask


@st.composite
def batches(draw):
    """Teacher scores of some rows (NaN: none), and a mask of passages that are known positives."""
    rows, passages = draw(st.integers(1, 5)), draw(st.integers(2, 4))
    teacher = draw(st.lists(st.lists(scores, min_size=passages, max_size=passages), min_size=rows, max_size=rows))
    mask = torch.tensor(draw(st.lists(st.booleans(), min_size=rows * rows * passages, max_size=rows * rows * passages)))
    mask = mask.reshape(rows, rows * passages) & (torch.arange(rows * passages) != torch.arange(rows)[:, None])
    return torch.tensor(teacher), mask


def by_hand(queries, passages, teacher, mask, tau, weight, t):
    """The loss from its formula, one row and one passage at a time, in float64."""
    rows, total = len(queries), 0.0
    for i in range(rows):
        sims = [[float(queries[i] @ column[j]) / tau for j in range(rows)] for column in passages]
        places = [(c, j) for c in range(len(passages)) for j in range(rows) if not mask[i, c * rows + j]]
        infonce = math.log(sum(math.exp(sims[c][j] - sims[0][i]) for c, j in places))
        counted = [c for c in range(len(passages)) if (c, i) in places and not math.isnan(teacher[i, c])]
        if 0 not in counted or len(counted) < 2:
            total += infonce
            continue
        p = np.exp([teacher[i, c] / t for c in counted] - np.max([teacher[i, c] / t for c in counted]))
        q = np.exp([sims[c][i] for c in counted] - np.max([sims[c][i] for c in counted]))
        p, q = p / p.sum(), q / q.sum()
        kl = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)
        total += (1 - weight) * infonce + weight * t**2 * kl
    return total / rows


def unit(rows, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, 5, generator=generator, dtype=torch.float64), dim=1)


@given(batches(), st.sampled_from([0.1, 0.5, 1.0]), st.sampled_from([0.5, 1.0, 3.0]))
def test_the_loss_is_its_formula_whatever_is_unscored_or_masked(batch, weight, t):
    teacher, mask = batch
    columns = [unit(len(teacher), seed) for seed in range(teacher.shape[1] + 1)]
    distillation = Distillation(teacher, Distill(weight=weight, temperature=t))
    loss = ContrastiveLoss(torch.nn.Identity(), 0.2, Masked(mask), distillation=distillation)
    ours = loss.compute_loss_from_embeddings([c.float() for c in columns], torch.arange(len(teacher)))
    expected = by_hand(
        columns[0].numpy(), [c.numpy() for c in columns[1:]], teacher.double().numpy(), mask, 0.2, weight, t
    )
    assert ours.item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


@given(batches(), st.sampled_from([0.5, 2.0]))
def test_its_gradient_is_the_slope_of_the_loss(batch, t):
    teacher, mask = batch
    columns = [unit(len(teacher), seed).float().requires_grad_() for seed in range(teacher.shape[1] + 1)]
    loss = ContrastiveLoss(
        torch.nn.Identity(), 0.5, Masked(mask), distillation=Distillation(teacher, Distill(temperature=t))
    )
    labels = torch.arange(len(teacher))
    found = torch.autograd.grad(loss.compute_loss_from_embeddings(columns, labels), columns)
    assert all(torch.isfinite(gradient).all() for gradient in found)
    arguments = (teacher.double().numpy(), mask, 0.5, 0.5, t)
    along = [unit(len(teacher), 9 + seed) for seed in range(len(columns))]

    def moved(step):
        texts = [
            torch.nn.functional.normalize(c.detach() + step * a, dim=1).numpy()
            for c, a in zip(columns, along, strict=True)
        ]
        return by_hand(texts[0], texts[1:], *arguments)

    slope = (moved(1e-4) - moved(-1e-4)) / 2e-4
    expected = sum(float((g * a).sum()) for g, a in zip(found, along, strict=True))
    assert expected == pytest.approx(slope, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("t", [0.5, 1.0, 4.0])
def test_alone_it_is_sentence_transformers_divergence(t):
    """Theirs is scaled by the square of the retriever's temperature, ours by that of the cross-encoder's."""
    columns, teacher = [unit(6, seed).float().requires_grad_() for seed in range(4)], 5 * torch.randn(6, 3)
    peer = DistillKLDivLoss(torch.nn.Identity(), pairwise_cos_sim, student_temperature=0.05, teacher_temperature=t)
    theirs = peer.compute_loss_from_embeddings(columns, teacher) * (t / 0.05) ** 2
    ours = ContrastiveLoss(
        torch.nn.Identity(), 0.05, distillation=Distillation(teacher, Distill(weight=1, temperature=t))
    ).compute_loss_from_embeddings(columns, torch.arange(6))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    for one, other in zip(torch.autograd.grad(ours, columns), torch.autograd.grad(theirs, columns), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("alone", [False, True])
def test_cached_gradients_are_those_of_the_whole_batch(tiny_base, alone):
    """Piece by piece through the model, with the passages of the batch and without."""
    retriever = load_retriever(
        Model(name="tiny", base=str(tiny_base)), Encoding(query_length=16, passage_length=32, precision="fp32")
    )
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"]
    texts = [[" ".join(words[(i + k) % 4 :][: 1 + i % 3]) + f" {i}" for i in range(6)] for k in range(4)]
    features = [retriever.preprocess(column, task="document") for column in texts]
    teacher = torch.tensor([[3.0, 1.0, -2.0]] * 4 + [[math.nan] * 3, [1.0, math.nan, 0.5]])
    found = []
    for limit in (None, 20):
        loss = ContrastiveLoss(
            retriever,
            0.1,
            alone=torch.full((6,), alone),
            distillation=Distillation(teacher, Distill()),
        )
        retriever.zero_grad()
        value = loss(batch_of(features, limit), range(6))
        value.backward()
        found.append((value.item(), torch.cat([p.grad.flatten() for p in retriever.parameters()])))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-4, rtol=1e-4)


@given(st.lists(st.lists(scores, min_size=3, max_size=3), min_size=2, max_size=4), st.booleans())
def test_at_several_dimensions_it_is_the_sum_of_the_losses_of_cut_embeddings(teacher, alone):
    columns = [unit(len(teacher), seed).float() for seed in range(4)]
    labels, kinds = torch.arange(len(teacher)), torch.full((len(teacher),), alone)
    others = {"alone": kinds, "distillation": Distillation(torch.tensor(teacher), Distill())}
    whole = ContrastiveLoss(torch.nn.Identity(), 0.2, dimensions=[5, 2], **others)
    single = ContrastiveLoss(torch.nn.Identity(), 0.2, **others)
    parts = [single.compute_loss_from_embeddings([c[:, :size] for c in columns], labels) for size in (5, 2)]
    assert whole.compute_loss_from_embeddings(columns, labels).item() == pytest.approx(sum(parts).item(), rel=1e-5)
