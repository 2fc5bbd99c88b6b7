"""What is refused before any job, for what the parts of a configuration say of each other."""

import pytest
from toyjobs import CONFIG, REGISTRY, read_in

from tdro.errors import UserError
from tdro.pipeline.start import remarks


@pytest.mark.parametrize("section", ["training", "tdro"])
def test_more_negatives_than_mining_leaves_are_refused_unless_they_are_provided(tmp_path, monkeypatch, section):
    config = f"{CONFIG}mining: {{select: {{samples: 4}}}}\ntraining: {{negatives: 4}}\ntdro: {{negatives: 4}}\n"
    assert read_in(tmp_path, monkeypatch, config)
    config = config.replace(f"{section}: {{negatives: 4}}", f"{section}: {{negatives: 5}}")
    with pytest.raises(
        UserError, match=rf"`{section}.negatives` 5 is more than `mining.select.samples` 4.*'(faq|code)'"
    ):
        read_in(tmp_path, monkeypatch, config)
    assert read_in(tmp_path, monkeypatch, config, REGISTRY.replace("{category", "{negatives: provided, category"))


def test_a_weights_file_of_other_tasks_is_refused_before_any_job(tmp_path, monkeypatch):
    (tmp_path / "w.json").write_text('{"domain_weights": {"faqs": 1.0}, "size": {"faqs": 3}}')
    with pytest.raises(UserError, match=r"`weights\.old`: w\.json weighs 'faqs' \(did you mean 'faq'\?\), which"):
        read_in(tmp_path, monkeypatch, f"{CONFIG}weights: {{old: w.json}}\n")
    (tmp_path / "w.json").write_text('{"domain_weights": {"faq": 1.0, "faqs": 0.0}, "size": {"faq": 3, "faqs": 1}}')
    assert read_in(tmp_path, monkeypatch, f"{CONFIG}weights: {{old: w.json}}\n").config.weights == {"old": "w.json"}


def test_a_task_without_in_batch_negatives_needs_hard_ones(tmp_path, monkeypatch):
    registry = REGISTRY.replace("code: {", "code: {in_batch: false, ")
    made = read_in(tmp_path, monkeypatch, f"{CONFIG}training: {{negatives: 1}}\n", registry)
    assert made.train("tiny", 1).own_negatives == ["code"]
    # What reads a row's own negatives anyway is the same job.
    before = read_in(tmp_path, monkeypatch, f"{CONFIG}training: {{negatives: 1}}\n")
    assert before.train("tiny", 1).own_negatives == []
    assert [made.reference(1), made.optimize("tiny", 1), made.prepare("code")] == [
        *(before.reference(1), before.optimize("tiny", 1), before.prepare("code"))
    ]
    with pytest.raises(UserError, match=r"registry\.yaml: code: `in_batch: false` .*`training\.negatives` is 0; raise"):
        read_in(tmp_path, monkeypatch, f"{CONFIG}training: {{negatives: 0}}\n", registry)


def test_distillation_says_which_tasks_no_cross_encoder_scores(tmp_path, monkeypatch):
    config = f"{CONFIG}mining: {{rescore: {{model: org/judge}}}}\ntraining: {{distill: {{}}}}\n"
    note = tmp_path / "project.json"
    assert not any("distill" in line for line in remarks(read_in(tmp_path, monkeypatch, config), note))
    provided = REGISTRY.replace("code: {", "code: {negatives: provided, ")
    (line,) = [line for line in remarks(read_in(tmp_path, monkeypatch, config, provided), note) if "distill" in line]
    assert "no cross-encoder scores the provided negatives of code;" in line
    with pytest.raises(
        UserError, match=r"`training\.distill` learns the scores of mined negatives, and all tasks have"
    ):
        read_in(tmp_path, monkeypatch, config, REGISTRY.replace("{category", "{negatives: provided, category"))
