import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tdro.config.training import Tdro
from tdro.dro.update import OPTIMIZERS, TaskWeights

DATA = Path(__file__).parents[2] / "data"
GOLDEN = ["released_update_accum1.json", "released_update_accum4_easy.json"]


def golden(name):
    return json.loads((DATA / name).read_text())


def made(k, **keys):
    return TaskWeights(torch.ones(k), Tdro(**keys))


def weights_for(run):
    names = {"step_size": "eta", "ema": "ema", "weight_grad_norm": "max_grad_norm", "floor": "reference_floor"}
    return made(len(run["domains"]), **{name: run[theirs] for name, theirs in names.items()})


def observe(weights, batch, *, last):
    tasks, proxy, reference = (torch.tensor(batch[k]) for k in ("domain_ids", "proxy_loss", "reference_loss"))
    return (weights.observe(tasks, proxy, reference, last=last) * proxy).sum().item()


@pytest.mark.parametrize("name", GOLDEN)
def test_recorded_runs_of_the_released_code_are_reproduced(name):
    run = golden(name)
    weights, window = weights_for(run), run["gradient_accumulation_steps"]
    for number, batch in enumerate(run["micro_batches"]):
        last = (number + 1) % window == 0
        assert observe(weights, batch, last=last) == pytest.approx(batch["robust_loss"], abs=1e-6)
        if last:
            expected = run["weights_after_step"][number // window]
            for kind in ("current", "mean", "ema"):
                assert getattr(weights, kind).tolist() == pytest.approx(expected[kind], abs=1e-6)


TASKS = torch.tensor([0, 0, 1, 1])
PROXY = torch.tensor([1.0, 3.0, 2.0, 2.0])
REFERENCE = torch.tensor([1.0, 1.0, 4.0, 4.0])


@pytest.mark.parametrize(
    ("measure", "expected", "rows"),
    [
        ("released", [20.0, 5.0], [1.6, 2.0]),  # r = 0.1, 0.1, 0.4, 0.4; means of L / r
        ("ratio", [2.0, 0.5], [1.6, 2.0]),
        ("difference", [1.0, -2.0], [1.0, 2.0]),
        ("excess", [1.0, 0.0], [1.0, 0.0]),  # (0 + 2) / 2, and two rows below their reference
        ("proxy", [2.0, 2.0], [1.6, 2.0]),  # (1 + 3)^2 / (1 + 9), and two alike
    ],
)
def test_measures_and_effective_rows_computed_by_hand(measure, expected, rows):
    weights = made(2, measure=measure)
    weights.observe(TASKS, PROXY, REFERENCE)
    assert weights.measurement.tolist() == pytest.approx(expected)
    norm = sum(e * e for e in expected) ** 0.5
    assert weights.gradient.tolist() == pytest.approx([e / max(1, norm) for e in expected], rel=1e-5)
    assert weights.effective_rows.tolist() == pytest.approx(rows)


def test_one_step_is_ascent_on_the_log_weights():
    weights = made(2, measure="ratio", step_size=0.5, weight_grad_norm=100)
    weights.observe(TASKS, PROXY, REFERENCE)
    grown = torch.exp(0.5 * torch.tensor([2.0, 0.5]))
    assert weights.current.tolist() == pytest.approx((grown / grown.sum()).tolist())


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_optimisers_are_torchs_without_decay_whether_normalised_every_step_or_not(kind):
    rng, weights = np.random.default_rng(0), made(3, weight_optimizer=kind, measure="proxy", step_size=0.1)
    log = torch.zeros(3, dtype=torch.float64)
    peer = OPTIMIZERS[kind]([log], lr=0.1, maximize=True, weight_decay=0)
    for _ in range(30):
        measured = torch.tensor(rng.gamma(2, 1, 3) * (1, 1.5, 0.7))
        log.grad = measured * min(1, 1 / (measured.norm() + 1e-6))
        peer.step()
        weights.observe(torch.arange(3), measured, torch.ones(3))
        assert weights.current.tolist() == pytest.approx(log.softmax(0).tolist(), rel=2e-5)


@pytest.mark.parametrize(("clip", "expected"), [("norm", [0.6, -0.8]), ("value", [1.0, -1.0]), ("none", [3.0, -4.0])])
def test_what_is_clipped(clip, expected):
    weights = made(2, measure="difference", weight_clip=clip)
    weights.observe(torch.tensor([0, 1]), torch.tensor([4.0, 1.0]), torch.tensor([1.0, 5.0]))
    assert weights.gradient.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("stop", [1, 6])
def test_saved_and_loaded_it_goes_on_bit_for_bit(kind, window, stop):
    """Within a window and between two: weights, an optimiser's history, and where a schedule is."""
    keys = {"weight_optimizer": kind, "weight_schedule": "cosine", "steps": 9, "smoothing": 0.01}
    whole, first, second = (made(2, **keys) for _ in range(3))
    for number in range(12):
        losses, last = (PROXY * (number + 1), REFERENCE), (number + 1) % window == 0
        if number == stop:
            state = first.state_dict()
            first.observe(TASKS, *losses)  # what is saved does not change afterwards
            second.load_state_dict(state)
        for weights in (whole, first if number < stop else second):
            weights.observe(TASKS, *losses, last=last)
    for name in ("current", "mean", "ema"):
        assert torch.equal(getattr(whole, name), getattr(second, name))


def test_rows_share_the_weights_of_their_tasks():
    weights = TaskWeights(torch.tensor([0.75, 0.25]), Tdro())
    rows = weights.observe(torch.tensor([0, 1, 1]), torch.ones(3), torch.ones(3), last=False)
    assert rows.tolist() == pytest.approx([0.6, 0.2, 0.2])


def test_a_task_without_rows_counts_as_measured_zero():
    weights = made(3, measure="ratio")
    weights.observe(TASKS, PROXY, REFERENCE)
    assert weights.measurement[2] == 0
    assert weights.current[2] < weights.current[1] < weights.current[0]


def test_a_reference_below_the_floor_counts_as_one():
    weights = made(2, floor=1e-4)
    weights.observe(torch.tensor([0, 1]), torch.tensor([3.0, 5.0]), torch.tensor([1e-9, 1.0]))
    assert weights.measurement.tolist() == pytest.approx([3.0, 5.0])


@pytest.mark.parametrize("wrong", [0.0, -0.1])
def test_unusable_initial_weights_are_refused(wrong):
    with pytest.raises(ValueError, match="not positive"):
        TaskWeights(torch.tensor([0.5, wrong, 0.5]), Tdro())


losses = st.lists(st.floats(0.0078125, 20, width=32), min_size=12, max_size=12)


@given(losses, losses, st.lists(st.integers(0, 3), min_size=12, max_size=12), st.permutations(range(4)))
def test_weights_stay_a_distribution_and_names_do_not_matter(proxy, reference, tasks, order):
    proxy, reference, tasks, order = map(torch.tensor, (proxy, reference, tasks, order))
    one, other = made(4), made(4)
    for _ in range(3):
        rows = one.observe(tasks, proxy, reference)
        other.observe(order[tasks], proxy, reference)
        assert rows.sum().item() == pytest.approx(1, abs=1e-5)
        for kind in (one.current, one.mean, one.ema):
            assert kind.sum().item() == pytest.approx(1, abs=1e-5)
            assert (kind > 0).all()
    assert torch.allclose(other.current[order], one.current, atol=1e-6)


def test_effective_rows_are_of_the_whole_window():
    weights = made(2, measure="proxy")
    weights.observe(TASKS, PROXY, REFERENCE, last=False)
    weights.observe(TASKS, PROXY, REFERENCE)
    assert weights.effective_rows.tolist() == pytest.approx([3.2, 4.0])


@pytest.mark.parametrize(
    ("schedule", "factors"), [("linear", [1, 0.75, 0.5, 0.25]), ("cosine", [1, 0.8536, 0.5, 0.1464])]
)
def test_a_schedule_shrinks_the_steps(schedule, factors):
    plain, falling = (made(2, weight_clip="none", weight_schedule=name, steps=4) for name in ("constant", schedule))
    for factor in factors:
        moves = []
        for weights in (plain, falling):
            before = weights.current.log()
            weights.observe(TASKS, PROXY, REFERENCE)
            move = weights.current.log() - before
            moves.append((move[0] - move[1]).item())
        assert moves[1] == pytest.approx(factor * moves[0], rel=1e-3)


def test_doremis_update_by_its_own_formula():
    """Exponentiated gradient on the mean excess loss, mixed with the uniform weights (Xie et al. 2023, algorithm 1)."""
    weights = made(2, measure="excess", step_size=1.0, weight_clip="none", smoothing=1e-3)
    expected, total = np.full(2, 0.5), np.zeros(2)
    for step in range(5):
        proxy = PROXY + step
        weights.observe(TASKS, proxy, REFERENCE)
        excess = np.maximum(proxy.numpy() - REFERENCE.numpy(), 0).reshape(2, 2).mean(1)
        raised = expected * np.exp(excess)
        expected = (1 - 1e-3) * raised / raised.sum() + 1e-3 / 2
        total += expected
        np.testing.assert_allclose(weights.current, expected, rtol=1e-5)
    np.testing.assert_allclose(weights.mean, total / 5, rtol=1e-5)


@pytest.mark.parametrize(("measure", "gains"), [("released", True), ("difference", False), ("excess", False)])
def test_a_row_that_the_reference_finds_too_easy_lifts_its_task_under_released(measure, gains):
    """Two of eight rows of a task repeat their query: reference and proxy have learnt nothing else worth a name."""
    tasks = torch.tensor([0] * 8 + [1] * 8)
    reference = torch.tensor([0.005] * 2 + [1.0] * 14)
    proxy = torch.tensor([0.1] * 2 + [1.0] * 6 + [1.2] * 8)  # the other task is 0.2 behind in every row
    weights = made(2, measure=measure)
    weights.observe(tasks, proxy, reference)
    assert bool(weights.current[0] > 0.5) == gains
    parts = weights.row_parts[:8]
    if gains:
        assert parts[:2].sum() > 0.8 * parts.sum()
        assert weights.effective_rows[0] < 4 < weights.effective_rows[1]


@pytest.mark.parametrize("clip", ["norm", "value", "none"])
@pytest.mark.parametrize("measure", ["released", "ratio", "excess", "proxy"])
def test_what_rows_add_sums_to_the_gradient_of_their_task(measure, clip):
    rng = np.random.default_rng(1)
    weights = made(3, measure=measure, weight_clip=clip, weight_grad_norm=0.7)
    tasks = []
    for last in (False, False, True):
        tasks.append(torch.tensor(rng.integers(0, 3, 12)))
        weights.observe(tasks[-1], torch.tensor(rng.gamma(2, 1, 12)), torch.tensor(rng.gamma(2, 1, 12)), last=last)
    sums = np.bincount(torch.cat(tasks).numpy(), weights.row_parts.numpy(), 3)
    np.testing.assert_allclose(sums, weights.gradient, rtol=1e-5)
