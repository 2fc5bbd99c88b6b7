"""The host waits for no device within a step.

The steps compute on torch's `meta` device: its tensors have shapes, and nothing to read. Whoever asks one for a number
(`item`, `tolist`, `bool`, `int`, `cpu`, `numpy`, `nonzero`, an index by a mask) fails, as on a GPU he would wait.
"""

from contextlib import nullcontext

import pytest
import torch
from accelerate.utils import send_to_device
from torch.overrides import TorchFunctionMode
from trainings import TASKS

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import PLAN
from tdro.config.training import Distill
from tdro.dro import loss as dro_loss
from tdro.dro.loss import RobustLoss
from tdro.dro.update import TaskWeights
from tdro.models.bases import load_retriever
from tdro.models.processes import most, sent
from tdro.training.batches import dataset
from tdro.training.collate import Batch, Collator
from tdro.training.distill import Distillation
from tdro.training.finite import check_finite
from tdro.training.losses import ContrastiveLoss
from tdro.training.masks import KnownPositives
from tdro.training.meter import Meter
from tdro.training.train import _positives

ROWS = 8
NOWHERE = torch.device("meta")


class NothingMoved(TorchFunctionMode):
    """Refuses copies to the device for which the host would wait."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor, torch.Tensor.to):
            there = any(isinstance(value, torch.device) and value == NOWHERE for value in (*args, *kwargs.values()))
            from_host = not isinstance(args[0], torch.Tensor) or args[0].device != NOWHERE
            if there and from_host and not kwargs.get("non_blocking"):
                raise AssertionError(f"{func.__name__} copies to the device, and the host waits for it")
        return func(*args, **kwargs)


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch):
    """Of `meta` torch has none; the losses switch it off anyway."""
    monkeypatch.setattr(torch, "autocast", lambda *arguments, **others: nullcontext())


def step(project, layout, limit, loss_of):
    """One step of a layout through the real collator: forward, backward, clipping, optimiser."""
    plan, texts = read_table(project.plan(layout, 4, ROWS), PLAN), project.texts()
    model = load_retriever(project.model, project.train_job().encoding)
    model[0].auto_model.set_attn_implementation("eager")  # what else looks at a mask is the library's
    items = dataset(plan, texts)
    found = Collator(model, limit, "meta")([items[row] for row in range(ROWS, 2 * ROWS)])
    model = model.to(NOWHERE)
    found = send_to_device(found, NOWHERE)
    batch = Batch(**{name: found[name] for name in Batch._fields})
    assert len(batch.passes) > 1 or limit is None
    optimizer = torch.optim.AdamW(model.parameters(), fused=False, foreach=True)
    meter = Meter(plan["task"].to_pylist())
    loss = loss_of(model, plan, meter)
    with NothingMoved():
        loss(batch, found["rows"]).backward()
        assert all(weight.grad is not None for weight in model.parameters())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return meter


@pytest.mark.parametrize("limit", [None, 90])
@pytest.mark.parametrize("kind", ["plain", "distilled", "weighted", "alone", "dimensions"])
def test_a_training_step_reads_nothing_of_its_device(project, limit, kind):
    def loss_of(model, plan, meter):
        rows = plan.num_rows
        keys = {
            "distilled": {"distillation": Distillation(torch.randn(rows, 3), Distill())},
            "weighted": {"factors": torch.ones(rows)},
            "alone": {"alone": torch.ones(rows, dtype=torch.bool)},
            "dimensions": {"dimensions": [32, 8]},
        }
        known = KnownPositives(plan, _positives(plan, project.folder))
        return ContrastiveLoss(model, 0.05, known, meter=meter, **keys.get(kind, {}))

    meter = step(project, "homogeneous", limit, loss_of)
    for ask in (meter.check, meter.read):  # every few steps
        with pytest.raises((NotImplementedError, RuntimeError)):
            ask()


@pytest.mark.parametrize("limit", [None, 90])
def test_a_step_of_tdro_reads_its_device_once(project, limit, monkeypatch):
    asked = []

    def on_host(losses):
        asked.append(losses.shape)
        return torch.rand(ROWS)

    monkeypatch.setattr(dro_loss, "_on_host", on_host)

    def loss_of(model, plan, meter):
        tasks = torch.tensor([list(TASKS).index(task) for task in plan["task"].to_pylist()])
        settings = project.optimize_job(accumulation=1).tdro
        weights = TaskWeights(torch.ones(len(TASKS)), settings)
        return RobustLoss(model, weights, tasks, torch.rand(plan.num_rows), settings, meter)

    meter = step(project, "mixed", limit, loss_of)
    meter.check()
    assert meter.read()["tokens_per_second"] > 0
    assert asked == [(ROWS,)]


def test_who_asks_the_device_for_a_number_is_found():
    value = torch.ones(3, device=NOWHERE)
    for ask in (
        lambda: value[0].item(), lambda: value.tolist(), lambda: bool(value[0] > 0), lambda: value.cpu(),
        lambda: int(value[0]), lambda: value.numpy(), lambda: value[value > 0],
        lambda: check_finite(value[:, None], range(3)),
    ):  # fmt: skip
        with pytest.raises((NotImplementedError, RuntimeError, TypeError)):
            ask()
    with NothingMoved():
        for copy_there in (lambda: torch.tensor([1, 2], device=NOWHERE), lambda: torch.ones(2).to(NOWHERE)):
            with pytest.raises(AssertionError, match="the host waits for it"):
                copy_there()
        assert sent(torch.ones(2), NOWHERE).shape == (2,)
    assert most([3, True]) == [3, 1]
