import pytest
from toyjobs import CONFIG, REGISTRY, read_in

from tdro.artifacts.layout import Layout
from tdro.errors import UserError

TRAINING = "training: {steps: 100, warmup_steps: 40, batch_size: 8}\n"
EXTRA = "  a-b.c: {category: web, language: en, instruction: Find it., source: {reader: jsonl, path: a.jsonl}}\n"
THREE = REGISTRY.replace("  code:", f"{EXTRA}  code:").replace("{category", "{dev: 3, category")


def test_experts_go_on_at_the_peak_of_the_warm_up_over_their_shares_of_the_steps(tmp_path, monkeypatch):
    config = (
        f"{CONFIG}{TRAINING}mixtures: [uniform, transfer]\ndev: [dev_rows]\nexperts: {{warmup: 0.3, steps: 0.07}}\n"
    )
    made = read_in(tmp_path, monkeypatch, config, THREE)
    assert made.experts == ["warmup", "expert-a-b.c", "expert-code", "expert-faq"]
    shapes = {
        name: (made.train("tiny", 1, name).training.steps, made.plan(name, 1).steps, made.plan(name, 1).rows)
        for name in made.experts[:2]
    }
    assert shapes == {"warmup": (30, 30, "same"), "expert-a-b.c": (7, 7, "fresh")}
    schedules = [made.training(name) for name in made.experts[:2]]
    assert [(one.warmup_steps, one.min_lr_ratio) for one in schedules] == [(30, 1.0), (0, 1.0)]
    assert made.training("uniform") == made.config.training
    job = made.expert_scores(1, Layout("results"))
    assert (job.tasks, list(job.datasets), job.rho, made.candidates) == (["a-b.c", "code", "faq"],) * 2 + (0.5, 40)


def test_experts_are_trained_where_a_mixture_or_a_soup_needs_them(tmp_path, monkeypatch):
    plain = read_in(tmp_path, monkeypatch, CONFIG, THREE)
    assert (plain.experts, plain.told, plain.told_by, plain.report().told) == ([], [], [], [])
    config = f"{CONFIG}mixtures: [uniform, loss, soup-s]\nsoups: {{s: {{of: [uniform, prune]}}}}\ndev: [dev_rows]\n"
    souped = read_in(tmp_path, monkeypatch, config, THREE)
    assert len(souped.experts) == 4
    assert (souped.told, souped.told_by) == (["uniform"], ["law.json", "prune.json"])


@pytest.mark.parametrize("name", ["warmup", "expert-code"])
def test_no_configuration_lists_them(tmp_path, monkeypatch, name):
    with pytest.raises(UserError, match="is trained where mergemix, transfer or prune is a mixture"):
        read_in(tmp_path, monkeypatch, f"{CONFIG}mixtures: [uniform, {name}]\n", THREE)
