"""The trainer on a tiny model, through the stages that run it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from flattening import flatten, pretend_flash_attention
from trainings import ENCODING, TASKS, parameters

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import REFERENCE
from tdro.errors import UserError
from tdro.models.bases import load_retriever
from tdro.models.load import load_trained
from tdro.training import learner, trainer


def test_a_batch_that_the_processes_cannot_share_is_refused(project, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(UserError, match="batch_size 4 is not a multiple of 3 processes"):
        project.train()


def test_a_loss_that_is_not_finite_stops_the_run(project, monkeypatch):
    nan = torch.tensor(float("nan"), requires_grad=True)
    monkeypatch.setattr("tdro.training.losses.ContrastiveLoss.forward", lambda *a: nan)
    with pytest.raises(UserError, match="not finite"):
        project.train()
    assert not (project.folder / "model").exists()


def test_how_long_a_training_takes_is_told_after_its_first_steps(monkeypatch, caplog):
    now = [50.0]
    monkeypatch.setattr(trainer.time, "monotonic", lambda: now[0])
    caplog.set_level("INFO", "tdro")
    told, state = trainer._Progress(), SimpleNamespace(global_step=10, max_steps=110, is_world_process_zero=True)
    told.on_train_begin(None, state, None)
    for step in range(11, 15):
        now[0] += 3
        state.global_step = step
        told.on_step_end(None, state, None)
    told.on_log(None, state, None, logs={"loss": "1.5", "learning_rate": "0.1"})
    begun, early, logged = caplog.messages
    assert begun == "100 steps begin"
    assert "2/100 [00:06<04:54," in early and "loss" not in early
    assert logged.startswith("loss 1.5000  lr 1.00e-01") and "4/100 [00:12<04:48," in logged


@pytest.mark.parametrize("change", [{"mini_batch_tokens": 40}, {"gradient_checkpointing": True}])
def test_what_saves_memory_trains_the_same_model(project, change):
    plain, saving = project.train("plain"), project.train("saving", project.train_job(**change))
    torch.testing.assert_close(parameters(saving), parameters(plain), atol=1e-4, rtol=0)


def test_tensorboard_shows_tasks_speed_padding_and_memory(project):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    project.losses()
    project.optimize()
    for name in ("reference", "trajectory.parquet"):
        events = EventAccumulator(str(project.places(name).tensorboard))
        events.Reload()
        shown = {name.removeprefix("train/") for name in events.Tags()["scalars"]}
        tasks = {f"task_loss/{task}" for task in TASKS}
        assert {"loss", "learning_rate", "grad_norm", "tokens_per_second", "padding", "memory_gb", *tasks} <= shown


def test_texts_that_a_training_reads_only_in_part_are_counted_a_task(project, caplog):
    encoding = ENCODING.model_copy(update={"passage_length": 38})  # the symmetric task's passages carry its instruction
    job = project.train_job(encoding=encoding)
    with caplog.at_level("INFO"):
        project.train("model", job)
    tokenizer = load_retriever(job.model, encoding).tokenizer
    texts, expected = project.texts(), {}
    for row in project.rows():
        read, cut = expected.get(row["task"], (0, 0))
        for text, limit in zip(texts.of_row(row), (64, 38, 38, 38), strict=True):
            read, cut = read + 1, cut + (len(tokenizer(texts[text])["input_ids"]) > limit)
        expected[row["task"]] = read, cut
    assert any(cut for _, cut in expected.values())
    said = "{}: {} of {} texts were longer than the model reads, and cut"
    for task, (read, cut) in expected.items():
        assert (said.format(task, cut, read) in caplog.text) == bool(cut)


@pytest.mark.parametrize("limit", [None, 300])
def test_texts_that_flash_attention_leaves_unpadded_train_the_same_model(limit, project, monkeypatch):
    job = project.train_job(steps=4, mini_batch_tokens=limit)
    tdro = project.optimize_job(mini_batch_tokens=limit)
    project.losses()
    padded, before = project.train("padded", job), project.optimize(tdro)
    pretend_flash_attention(monkeypatch)
    loaded = []
    monkeypatch.setattr(learner, "load_retriever", lambda *a: loaded.append(flatten(load_retriever(*a))) or loaded[-1])
    flat, after = project.train("flat", job), project.optimize(tdro, name="flat")
    assert len(loaded) == 2
    torch.testing.assert_close(parameters(flat), parameters(padded), atol=2e-4, rtol=0)
    for column in ("proxy_loss", "weight"):
        np.testing.assert_allclose(after[column].to_numpy(), before[column].to_numpy(), atol=1e-3)


@pytest.mark.parametrize("gpus", [1, 2])
def test_a_job_that_is_told_to_use_the_cpu_leaves_gpus_alone(project, monkeypatch, gpus):
    """As `accelerate launch` tells it, on a machine that seems to have GPUs; whoever touched one would fail."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda.random, "get_rng_state", lambda: None)  # kept beside that of the CPU, by the trainer
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        model = project.train("model", project.train_job(steps=2, save_steps=1000))
        losses = project.reference(model, plan=project.plan("mixed", 2))
        assert load_trained(model).device.type == "cpu"
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert len(read_table(losses, REFERENCE)) == 8
