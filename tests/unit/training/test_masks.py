import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tdro.artifacts.schemas import PLAN, QUERIES
from tdro.training.losses import ContrastiveLoss
from tdro.training.masks import KnownPositives


def column(lists):
    return pa.chunked_array([pa.array(lists, QUERIES.field("positives").type)])


def plan_of(rows, task="x"):
    """A plan of one batch out of (query, positive, negatives)."""
    queries, positives, negatives = zip(*rows, strict=True)
    content = {"step": [0] * len(rows), "slot": range(len(rows)), "task": [task] * len(rows)}
    return pa.table(content | {"query": queries, "positive": positives, "negatives": negatives}, schema=PLAN)


def cosine(one, other):
    return one @ other / (one.norm() * other.norm())


def loss_by_hand(rows, known, queries, passages, temperature):
    """The masked loss, one query, one passage at a time; ``passages[c][i]`` is passage c of row i."""
    total = 0.0
    for i, (query, _, _) in enumerate(rows):
        own = torch.exp(cosine(queries[i], passages[0][i]) / temperature)
        others = 0.0
        for j, (_, positive, negatives) in enumerate(rows):
            for c, passage in enumerate([positive, *negatives]):
                if (c, j) != (0, i) and passage not in known[query]:
                    others += torch.exp(cosine(queries[i], passages[c][j]) / temperature)
        total -= torch.log(own / (own + others))
    return total / len(rows)


@st.composite
def batches(draw):
    """Known positives of some queries, and a batch of rows of these queries."""
    passages = st.integers(0, 6)
    known = draw(st.lists(st.lists(passages, min_size=1, max_size=3, unique=True), min_size=1, max_size=6))
    negatives = draw(st.integers(0, 3))
    rows = []
    for query in draw(st.lists(st.integers(0, len(known) - 1), min_size=1, max_size=7)):
        positive = draw(st.sampled_from(known[query]))
        rows.append((query, positive, draw(st.lists(passages, min_size=negatives, max_size=negatives))))
    return known, rows


@given(batches())
def test_the_loss_leaves_out_exactly_the_other_places_of_known_positives(batch):
    known, rows = batch
    generator = torch.Generator().manual_seed(len(rows))
    vectors = torch.nn.functional.normalize(torch.randn(14, 5, generator=generator, dtype=torch.float64), dim=1)
    queries = vectors[[query for query, _, _ in rows]].float().requires_grad_()
    passages = [
        vectors[[7 + passage for passage in places]].float().requires_grad_()
        for places in zip(*([positive, *negatives] for _, positive, negatives in rows), strict=True)
    ]
    mask = KnownPositives(plan_of(rows), [("x", column(known))])
    loss = ContrastiveLoss(torch.nn.Identity(), 0.2, mask)
    ours = loss.compute_loss_from_embeddings([queries, *passages], torch.arange(len(rows)))
    expected = loss_by_hand(rows, known, queries, passages, 0.2)
    assert ours.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-6)
    for mine, theirs in zip(
        torch.autograd.grad(ours, [queries, *passages], retain_graph=True),
        torch.autograd.grad(expected, [queries, *passages], allow_unused=True),
        strict=True,
    ):
        assert torch.allclose(mine, torch.zeros_like(mine) if theirs is None else theirs, atol=1e-5)


def test_two_questions_of_one_answer_do_not_push_it_away():
    """Without the mask the second copy of the answer is a negative, and the loss cannot fall below log 2."""
    rows, known = [(0, 3, []), (1, 3, [])], [[3], [3]]
    same = torch.nn.functional.normalize(torch.ones(2, 4), dim=1)
    labels = torch.arange(2)
    masked = ContrastiveLoss(torch.nn.Identity(), 0.05, KnownPositives(plan_of(rows), [("x", column(known))]))
    assert masked.compute_loss_from_embeddings([same, same], labels).item() == pytest.approx(0, abs=1e-6)
    plain = ContrastiveLoss(torch.nn.Identity(), 0.05)
    assert plain.compute_loss_from_embeddings([same, same], labels).item() == pytest.approx(0.6931, abs=1e-4)


def test_a_batch_of_several_processes_is_masked_as_one():
    rows = [(0, 3, [1]), (1, 3, [2]), (2, 1, [3]), (0, 2, [0])]
    known = KnownPositives(plan_of(rows), [("x", column([[3, 2], [3], [1]]))])
    whole = known.mask(torch.arange(4), 0, 4)
    assert torch.equal(torch.cat([known.mask(torch.arange(4), 0, 2), known.mask(torch.arange(4), 2, 2)]), whole)
    assert whole.tolist() == [
        # positives 3 3 1 2, negatives 1 2 3 0
        [False, True, False, True, False, True, True, False],
        [True, False, False, False, False, False, True, False],
        [False, False, False, False, True, False, False, False],
        [True, True, False, False, False, True, True, False],
    ]


def test_rows_of_several_tasks_look_their_own_passages_up():
    plan = pa.concat_tables([plan_of([(0, 5, []), (1, 5, [])], "a"), plan_of([(0, 5, []), (2, 6, [])], "b")])
    known = KnownPositives(plan, [("a", column([[5], [5]])), ("b", column([[5], [0], [6, 5]]))])
    assert known.mask(torch.tensor([0, 1]), 0, 2).tolist() == [[False, True], [True, False]]
    assert known.mask(torch.tensor([2, 3]), 0, 2).tolist() == [[False, False], [True, False]]
