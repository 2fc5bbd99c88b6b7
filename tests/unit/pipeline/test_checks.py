"""What is refused before any job, for what the parts of a configuration say of each other."""

import pytest
from toyjobs import CONFIG, REGISTRY, read_in

from tdro.artifacts.layout import Layout
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


def test_chameleon_wants_three_mined_tasks_and_says_which_it_knows_nothing_of(tmp_path, monkeypatch):
    config, note = f"{CONFIG}mixtures: [uniform, chameleon]\n", tmp_path / "project.json"
    with pytest.raises(
        UserError, match="chameleon compares the embeddings of mined tasks, and 2 of the tasks are mined"
    ):
        read_in(tmp_path, monkeypatch, config)
    task = "{category: web, language: en, instruction: Find it., source: {reader: jsonl, path: a.jsonl}}"
    more = REGISTRY.replace("benchmarks:", f"  more: {task}\nbenchmarks:")
    assert not any("chameleon" in line for line in remarks(read_in(tmp_path, monkeypatch, config, more), note))
    registry = more.replace(
        "benchmarks:", f"  given: {task.replace('{category', '{negatives: provided, category')}\nbenchmarks:"
    )
    (line,) = [
        found for found in remarks(read_in(tmp_path, monkeypatch, config, registry), note) if "chameleon" in found
    ]
    assert "the miner embeds no text of given, whose negatives are provided" in line


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


OTHERS = """  wiki: {language: en, instruction: Find it., source: {reader: jsonl, path: b.jsonl}}
  twin: {language: en, instruction: Find others., source: {reader: jsonl, path: a.jsonl}}
  open: {language: en, instruction: Find it., source: {reader: mkqa, path: mkqa}, parts: [ar]}
  parts: {language: en, instruction: Find it., source: {reader: miracl, path: miracl}, parts: [sw]}
  more: {language: en, instruction: Find it., source: {reader: miracl, path: miracl}, parts: [yo]}
"""


@pytest.mark.parametrize(
    ("benchmarks", "dev", "said"),
    [
        ("web", "wiki, web", "dev names 'web', which is reported"),
        ("web", "in_domain", "dev names 'in_domain', which is reported"),
        ("web", "wiki, wiki", "dev names 'wiki' twice"),
        ("web", "wikis", r"has no benchmark 'wikis' \(did you mean 'wiki'\?\).* under `dev` of the config"),
        ("web", "dev_rows", r"dev names 'dev_rows', but no task of registry\.yaml sets `dev`"),
        ("web", "twin", "dev names 'twin', which shares its passages or its source with the benchmark 'web'"),
        ("parts", "more", "dev names 'more', which shares its passages or its source with the benchmark 'parts'"),
        ("web", "open", "dev names 'open', which has answers and no relevant passages"),
    ],
)
def test_choices_on_what_is_reported_or_has_no_loss_are_refused(tmp_path, monkeypatch, benchmarks, dev, said):
    config = CONFIG.replace("[web]", f"[{benchmarks}]") + f"dev: [{dev}]\n"
    with pytest.raises(UserError, match=said):
        read_in(tmp_path, monkeypatch, config, REGISTRY + OTHERS)


def test_what_choices_are_made_on_is_prepared_and_compared_but_not_evaluated(tmp_path, monkeypatch):
    layout, registry = Layout("results"), (REGISTRY + OTHERS).replace("code: {", "code: {dev: 3, ")
    plain = read_in(tmp_path, monkeypatch, CONFIG, registry)
    made = read_in(tmp_path, monkeypatch, f"{CONFIG}dev: [wiki, dev_rows]\n", registry)
    assert set(made.tests.chosen) == {"web", "wiki"}
    assert (made.tests.evaluated, made.report(), made.tests.searched) == (
        *(plain.tests.evaluated, plain.report(), plain.tests.searched),
    )
    assert made.compared == ["web", "wiki"]
    job = made.dev_scores(layout)
    assert {name: (one.corpus, one.candidates) for name, one in job.datasets.items()} == {
        "code": ("results/data/code/corpus.parquet", "results/dev/code.parquet"),
        "wiki": ("results/benchmarks/wiki/corpus.parquet", "results/dev/wiki.parquet"),
    }
    assert job.temperature == made.config.training.temperature
    with pytest.raises(UserError, match="`dev` names nothing that choices could be made on"):
        plain.dev_scores(layout)


def test_weights_are_measured_on_dev_rows_only_where_every_task_has_some(tmp_path, monkeypatch):
    config, registry = f"{CONFIG}tdro: {{rows: dev}}\n", REGISTRY.replace("code: {", "code: {dev: 3, ")
    with pytest.raises(UserError, match=r"`tdro\.rows: dev` measures every task on its dev rows, and 'faq' has none"):
        read_in(tmp_path, monkeypatch, config, registry)
    made = read_in(tmp_path, monkeypatch, config, registry.replace("faq: {", "faq: {dev: 3, "))
    assert (made.plan(None, 1).rows, made.plan("uniform", 1).rows) == ("dev", "same")


EXTRA = "  extra: {category: web, language: en, instruction: Find it., source: {reader: jsonl, path: a.jsonl}}\n"
THREE = REGISTRY.replace("  code:", f"{EXTRA}  code:")
ALL_DEV = THREE.replace("{category", "{dev: 3, category")


@pytest.mark.parametrize(
    ("mixture", "dev", "registry", "said"),
    [
        (
            "mergemix",
            "dev_rows",
            REGISTRY.replace("{cat", "{dev: 3, cat"),
            "by an expert of each, and there are 2; from",
        ),
        ("mergemix", "wiki", ALL_DEV, r"mergemix is chosen on dev rows of the tasks: set `dev` .*name dev_rows under"),
        ("prune", "", THREE, "prune is chosen on dev queries, and `dev` names none"),
        (
            "transfer",
            "dev_rows",
            ALL_DEV.replace("extra: {dev: 3,", "extra: {"),
            "transfer asks .* 'extra' has no dev rows",
        ),
        ("without-codes", "", THREE, r"'without-codes': 'codes' \(did you mean 'code'\?\) is none of the tasks"),
    ],
)
def test_merged_experts_want_three_tasks_and_dev_queries(tmp_path, monkeypatch, mixture, dev, registry, said):
    config = f"{CONFIG}mixtures: [uniform, {mixture}]\ndev: [{dev}]\n"
    with pytest.raises(UserError, match=said):
        read_in(tmp_path, monkeypatch, config, registry + OTHERS)


def test_experts_of_fewer_steps_than_tasks_are_remarked_on(tmp_path, monkeypatch):
    config = f"{CONFIG}mixtures: [uniform, prune]\ndev: [wiki]\ntraining: {{steps: 12}}\n"
    note = tmp_path / "project.json"
    (line,) = [
        line for line in remarks(read_in(tmp_path, monkeypatch, config, THREE + OTHERS), note) if "expert" in line
    ]
    assert "an expert takes 2 steps, fewer than there are tasks" in line
    config += "experts: {steps: 0.25}\n"
    assert not [one for one in remarks(read_in(tmp_path, monkeypatch, config, THREE + OTHERS), note) if "expert" in one]
