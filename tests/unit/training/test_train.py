"""The stage train on a tiny model, through its public function."""

import json

import numpy as np
import pytest
import torch
from trainings import ENCODING, TASKS, parameters

from tdro.config.models import Lora
from tdro.config.prompts import INSTRUCT
from tdro.errors import UserError
from tdro.mixtures.derive import uniform
from tdro.mixtures.weights import Weights, write_weights
from tdro.models.alike import check_tensors
from tdro.models.bases import load_retriever
from tdro.models.load import load_trained
from tdro.models.stored import StoredModel
from tdro.training import train as train_stage
from tdro.training.losses import own_negatives_loss


def test_training_learns_and_leaves_a_plain_model(project):
    job = project.train_job(steps=60, batch_size=8, learning_rate=5e-3, save_steps=60)
    trained = project.train("model", job)
    assert not project.places("model").checkpoints.exists()
    rows, texts = project.rows("homogeneous", 60, 8)[:40], project.texts()

    def loss(retriever):
        losses = [
            own_negatives_loss(
                retriever.encode_query([q], convert_to_tensor=True),
                retriever.encode_document(p, convert_to_tensor=True)[None],
                0.05,
            ).item()
            for q, *p in ([texts[t] for t in texts.of_row(row)] for row in rows)
        ]
        return np.mean(losses)

    assert loss(load_trained(trained)) < 0.5 * loss(load_retriever(job.model, ENCODING))


def test_loss_weights_scale_the_loss_of_a_task_by_k_times_its_weight(project, monkeypatch):
    write_weights(project.folder / "loss.json", Weights({"twin": 0.8, "plain": 0.2}, {"plain": 30, "twin": 30}))
    seen = []

    class Recorded(train_stage.ContrastiveLoss):
        def compute_loss_from_embeddings(self, embeddings, labels):
            self.plain = super().compute_loss_from_embeddings(embeddings, labels)
            return self.plain

        def forward(self, features, labels):
            scaled = super().forward(features, labels)
            seen.append((labels[0], (scaled / self.plain).item()))
            return scaled

    monkeypatch.setattr(train_stage, "ContrastiveLoss", Recorded)
    project.train(loss_weights=project.folder / "loss.json")
    tasks = [row["task"] for row in project.rows()]
    assert {tasks[row] for row, _ in seen} == set(TASKS)
    assert [factor for _, factor in seen] == pytest.approx([{"twin": 1.6, "plain": 0.4}[tasks[r]] for r, _ in seen])


def test_loss_weights_without_a_task_of_the_plan_are_refused(project):
    write_weights(project.folder / "loss.json", uniform({"plain": 30}))
    with pytest.raises(UserError, match=r"loss.json has no weight for task 'twin'"):
        project.train(loss_weights=project.folder / "loss.json")


def test_a_folder_of_something_else_is_left_alone(project):
    (project.folder / "thesis").mkdir()
    (project.folder / "thesis" / "chapter1.txt").write_text("years of work")
    with pytest.raises(UserError, match="thesis exists and is no SentenceTransformer"):
        project.train("thesis")
    assert (project.folder / "thesis" / "chapter1.txt").read_text() == "years of work"


def test_training_for_several_dimensions_is_another_model_and_the_same_with_cached_gradients(project):
    several = {"matryoshka": [32, 8]}
    changes = {"whole": {}, "several": several, "cached": several | {"mini_batch_tokens": 40}}
    found = {name: parameters(project.train(name, project.train_job(**change))) for name, change in changes.items()}
    torch.testing.assert_close(found["several"], found["cached"], atol=2e-4, rtol=0)
    assert (found["several"] - found["whole"]).abs().max() > 0.01
    assert "## Shorter vectors" not in (project.folder / "whole" / "README.md").read_text()
    card = (project.folder / "several" / "README.md").read_text()
    assert "trained for vectors of 32 and 8 numbers" in card
    assert 'SentenceTransformer(".", truncate_dim=8)' in card


def test_a_dimension_that_the_model_lacks_stops_the_training(project):
    with pytest.raises(UserError, match="names 64 dimensions, but the embeddings of model 'tiny' have 32"):
        project.train("m", project.train_job(matryoshka=[64, 8]))


def adapted(project, dtype="float32"):
    lora = Lora(rank=2, alpha=8, dropout=0.2)
    return project.model.model_copy(update={"lora": lora, "dtype": dtype})


@pytest.mark.parametrize("change", [{}, {"gradient_checkpointing": True}, {"mini_batch_tokens": 40}])
def test_lora_changes_linear_layers_by_a_low_rank_and_leaves_a_plain_model(project, change):
    before = load_retriever(project.model, ENCODING).state_dict()
    after = load_trained(project.train("model", project.train_job(adapted(project), **change))).state_dict()
    assert after.keys() == before.keys()
    for name, value in after.items():
        difference = value - before[name]
        linear = name.endswith("proj.weight")
        assert linear == bool(difference.abs().max() > 1e-6), name
        if linear:
            assert torch.linalg.matrix_rank(difference, atol=1e-5) <= 2


def test_frozen_weights_may_be_bfloat16_the_saved_model_is_float32(project):
    model = adapted(project, "bfloat16")
    network = load_retriever(model, ENCODING)[0].auto_model
    types = {parameter.requires_grad: parameter.dtype for parameter in network.parameters()}
    assert types == {True: torch.float32, False: torch.bfloat16}
    trained = project.train("model", project.train_job(model))
    assert json.loads((trained / "config.json").read_text())["dtype"] == "float32"


def test_a_model_is_saved_with_its_settings(project):
    job = project.train_job(steps=2)
    expected = json.loads(job.model_dump_json())
    expected["model"]["base"] = project.base.name  # where it lies on this machine is nobody else's business
    expected["model"]["prompts"] = {"query": INSTRUCT, "passage": "", "tasks": {}}  # what `auto` has come to
    assert json.loads((project.train("model", job) / "training_settings.json").read_text()) == expected


@pytest.mark.parametrize("change", [{}, {"layers": 1}, {"lora": Lora(rank=2)}], ids=["all", "layers", "lora"])
def test_a_training_goes_on_from_another_with_its_weights_and_prompts(project, change):
    model = project.model.model_copy(update=change)
    first = project.train("first", project.train_job(model, steps=4))
    still = project.train_job(model, steps=1, learning_rate=1e-12, warmup_steps=0, min_lr_ratio=1.0)
    train_stage.train(project.places("second", project.plan("homogeneous", 1)), still, start=first)
    second = project.folder / "second"
    torch.testing.assert_close(parameters(second), parameters(first), atol=1e-6, rtol=0)
    assert not torch.equal(parameters(first), parameters(project.train("other", project.train_job(model, steps=1))))
    before, after = (json.loads((folder / "training_settings.json").read_text()) for folder in (first, second))
    assert after["model"] == before["model"]  # the base is the base, and the prompts are those
    check_tensors(StoredModel(first), StoredModel(second))


def test_a_training_goes_on_only_from_what_was_trained_here(project):
    with pytest.raises(UserError, match=r"is no retriever that `tdro train` wrote.*correct --start"):
        train_stage.train(project.places("x"), project.train_job(), start=project.base)
