import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.common.configfile import load_configfile

from tdro.artifacts.layout import Layout
from tdro.config.commands import Miner
from tdro.config.registry import Registry
from tdro.config.schema import Config
from tdro.errors import UserError
from tdro.pipeline.jobs import Jobs

ROOT = Path(__file__).parents[3]
LAYOUT = Layout("results")
ENTRY = {"language": "en", "instruction": "Find it."}


def jobs(benchmarks=None, **config):
    rows = {"reader": "jsonl", "path": "rows.jsonl"}
    task = ENTRY | {"source": rows, "category": "toy", "held_out": 3}
    known = {
        "web": ENTRY | {"source": rows},
        "nq": ENTRY | {"source": {"reader": "beir", "path": "data/nq"}, "suite": "BEIR"},
        "cqa": ENTRY
        | {
            "source": {"reader": "beir", "path": "data/cqa/{part}"},
            "parts": ["a", "b"],
            "suite": "BEIR",
            "symmetric": True,
        },
        "miracl": ENTRY | {"source": {"reader": "miracl", "path": "data/miracl"}, "parts": ["sw", "yo"]},
        "mkqa": ENTRY | {"source": {"reader": "mkqa", "path": "data/mkqa"}, "parts": ["ar", "th"]},
        "mkqa-nq": ENTRY
        | {"source": {"reader": "mkqa", "path": "data/mkqa"}, "parts": ["ar", "th"], "corpus": "nq", "suite": "MKQA"},
    }
    values = {
        "registry": "registry.yaml",
        "benchmarks": ["in_domain", *known],
        "models": [{"name": "tiny", "base": "base"}],
        "proxy": "tiny",
    }
    registry = {"tasks": {"two": task, "one": task}, "benchmarks": known | (benchmarks or {})}
    return Jobs(Config.model_validate(values | config), Registry.model_validate(registry))


def test_every_part_is_evaluated_by_a_job_of_its_own_and_the_held_out_rows_by_one():
    assert jobs().evaluated == [
        *("in_domain", "web", "nq", "cqa-a", "cqa-b", "miracl-sw", "miracl-yo", "mkqa-ar", "mkqa-th"),
        *("mkqa-nq-ar", "mkqa-nq-th"),
    ]
    content = jobs().report()
    assert content.benchmarks["cqa"] == ["cqa-a", "cqa-b"]
    assert content.suites == {"BEIR": ["nq", "cqa"], "MKQA": ["mkqa-nq"]}
    assert list(jobs().evaluate(["in_domain"], LAYOUT, {}).benchmarks["in_domain"]) == ["one", "two"]


def test_dimensions_are_scored_of_everything_that_embeds():
    made = jobs(evaluation={"untrained": ["bm25", "miner"], "dimensions": [256, 64]})
    assert (
        made.evaluate(["web"], LAYOUT, {}).dimensions
        == made.evaluate(["web"], LAYOUT, {}, "miner").dimensions
        == [256, 64]
    )
    assert made.evaluate(["web"], LAYOUT, {}, "bm25").dimensions == []
    assert made.report().dimensions == [256, 64]


def test_parts_have_corpora_of_their_own_or_one_of_all_or_another_benchmarks():
    corpora = {name: test.corpus for name, test in jobs().test_sets.items()}
    assert corpora["miracl-sw"] == "miracl-sw"
    assert corpora["mkqa-ar"] == corpora["mkqa-th"] == "mkqa"
    assert corpora["mkqa-nq-ar"] == "nq"
    (dataset,) = jobs().evaluate(["mkqa-nq-ar"], LAYOUT, {}).benchmarks["mkqa-nq-ar"].values()
    assert dataset.corpus == "results/benchmarks/nq/corpus.parquet"
    assert dataset.queries == "results/benchmarks/mkqa-nq-ar/queries.parquet"
    assert dataset.max_words is None
    (cut,) = jobs(data={"max_words": 9}).evaluate(["web"], LAYOUT, {}).benchmarks["web"].values()
    assert cut.max_words == 9
    assert jobs().prepare_corpus("miracl-sw").part == "sw"
    assert jobs().prepare_corpus("mkqa").part is None
    assert jobs().prepare_queries("mkqa-th").part == "th"


def test_a_corpus_may_be_that_of_a_benchmark_that_is_not_evaluated():
    alone = jobs(benchmarks={"mkqa-web": ENTRY | {"source": {"reader": "mkqa", "path": "m"}, "corpus": "web"}})
    only = Jobs(alone.config.model_copy(update={"benchmarks": ["mkqa-web"]}), _registry(alone))
    assert only.evaluated == ["mkqa-web"]
    assert only.prepare("web").benchmark.source.reader == "jsonl"


def _registry(known):
    return Registry(
        tasks=known.tasks, benchmarks={test.benchmark: test.entry for test in known._all_test_sets.values()}
    )


def test_an_unknown_corpus_is_named():
    wrong = jobs(benchmarks={"other": ENTRY | {"source": {"reader": "mkqa", "path": "m"}, "corpus": "gone"}})
    with pytest.raises(UserError, match="no benchmark has the corpus 'gone'"):
        wrong.corpus("gone")


def test_corpora_of_several_test_sets_are_encoded_once():
    assert jobs().shared_corpora == {"mkqa", "nq"}
    assert jobs().reads_shared("nq") and jobs().reads_shared("mkqa-ar")
    assert not jobs().reads_shared("cqa-a") and not jobs().reads_shared("in_domain")


def test_untrained_retrievers_by_name():
    found = jobs(evaluation={"untrained": ["bm25", "miner", "base"]}).untrained
    assert list(found) == ["bm25", "miner", "base-tiny"]
    assert found["bm25"] == "bm25" and isinstance(found["miner"], Miner) and found["base-tiny"].base == "base"


def test_rows_that_anchor_the_table_by_default():
    made = jobs()
    assert list(made.untrained) == ["bm25", "miner", "base-tiny"]
    encode = {"model": "base"}
    assert list(jobs(mining={"encode": encode}).untrained) == ["bm25", "base-tiny"], "the base is the miner"
    other = jobs(mining={"encode": encode | {"prompts": {"query": "q: "}}})
    assert list(other.untrained) == ["bm25", "miner", "base-tiny"], "read in another way"


def test_a_miner_that_nobody_chose_is_no_row_and_is_not_fetched():
    registry = _registry(jobs())
    provided = {name: task.model_copy(update={"negatives": "provided"}) for name, task in registry.tasks.items()}
    registry = registry.model_copy(update={"tasks": provided})
    assert list(Jobs(jobs().config, registry).untrained) == ["bm25", "base-tiny"]
    assert not any("bge" in key for key in Jobs(jobs().config, registry).fetches())
    named = jobs(evaluation={"untrained": ["miner"]}).config
    assert list(Jobs(named, registry).untrained) == ["miner"]


def test_sizes_of_suites_count_benchmarks_or_the_parts_of_one():
    assert jobs().paper_tables().evaluated == {"BEIR": 2, "MKQA": 2}


@pytest.mark.parametrize(
    ("benchmarks", "complaint"),
    [
        (
            {"cqa-a": ENTRY | {"source": {"reader": "beir", "path": "x"}}},
            "two parts of benchmarks have the name 'cqa-a'",
        ),
        ({"x": ENTRY | {"source": {"reader": "beir", "path": "x"}, "suite": "nq"}}, "suite 'nq' has the name"),
    ],
)
def test_names_that_clash_are_refused(benchmarks, complaint):
    with pytest.raises(ValueError, match=complaint):
        jobs(benchmarks=benchmarks)


def test_each_run_of_tdro_that_a_mixture_or_the_sweep_needs_is_made_once():
    made = jobs(
        mixtures=["uniform", "curr", "top50", "doremi", "mean@ratio-0.1"],
        sweep={"measure": ["ratio", "proxy"], "step_size": [0.1]},
    )
    assert made.run_courses == ["tdro", "tdro-doremi", "tdro-ratio-0.1", "tdro-proxy-0.1"]
    learnt = {course: made.optimize("tiny", 1, course).tdro for course in made.run_courses}
    assert (learnt["tdro-ratio-0.1"].measure, learnt["tdro-ratio-0.1"].step_size) == ("ratio", 0.1)
    assert (learnt["tdro-doremi"].measure, learnt["tdro-doremi"].weight_clip) == ("excess", "none")
    assert learnt["tdro"] == made.config.tdro
    # All of them read the same plan and reference losses.
    assert len({(tdro.steps, tdro.batch_size, tdro.negatives, tdro.temperature) for tdro in learnt.values()}) == 1


def test_mixtures_of_sizes_alone_run_no_tdro():
    assert jobs(mixtures=["uniform", "proportional"]).run_courses == []


REGISTRY = """tasks:
  faq: {category: web, language: en, instruction: Find it., source: {reader: jsonl, path: a.jsonl}}
  code: {category: web, language: en, instruction: Find it., source: {reader: jsonl, path: a.jsonl}}
benchmarks:
  web: {language: en, instruction: Find it., source: {reader: jsonl, path: a.jsonl}}
"""
CONFIG = "registry: registry.yaml\nbenchmarks: [web]\nmodels: [{name: tiny, base: ./base}]\nproxy: tiny\n"


def read(folder, monkeypatch, config=CONFIG, registry=REGISTRY, changes=None):
    """The jobs of a configuration in a folder, as Snakemake hands it over."""
    monkeypatch.chdir(folder)
    (folder / "a.jsonl").write_text('["a question", "its answer"]\n')
    (folder / "registry.yaml").write_text(registry)
    (folder / "config.yaml").write_text(config)
    return Jobs.read({**load_configfile("config.yaml"), **(changes or {})}, ROOT, [folder / "config.yaml"])


def test_what_stands_twice_in_configuration_and_registry_is_told_together(tmp_path, monkeypatch):
    twice = REGISTRY.replace("  code:", "  faq:")
    with pytest.raises(UserError) as caught:
        read(tmp_path, monkeypatch, f"{CONFIG}training: {{steps: 2}}\ntraining: {{steps: 3}}\n", twice)
    config, registry = str(caught.value).splitlines()
    assert config.endswith("config.yaml, line 6: `training` stands here a second time, after line 5; keep one of them.")
    assert registry == "registry.yaml, line 3: `faq` stands here a second time, after line 2; keep one of them."


def test_how_a_word_was_written_in_the_configuration_is_told(tmp_path, monkeypatch):
    for line, said in (
        ("tasks: [faq, no]", "config: `tasks.1`: a text is expected; YAML reads `no` as false"),
        ("seeds: [yes]", "config: `seeds.0`: a number is expected; YAML reads `yes` as true"),
        ("seeds: [010]", "line 5: YAML reads `010` as 8"),
    ):
        with pytest.raises(UserError, match=re.escape(said)):
            read(tmp_path, monkeypatch, f"{CONFIG}{line}\n")


@pytest.mark.parametrize("section", ["training", "tdro"])
def test_more_negatives_than_mining_leaves_are_refused_unless_they_are_provided(tmp_path, monkeypatch, section):
    config = f"{CONFIG}mining: {{select: {{samples: 4}}}}\ntraining: {{negatives: 4}}\ntdro: {{negatives: 4}}\n"
    assert read(tmp_path, monkeypatch, config)
    config = config.replace(f"{section}: {{negatives: 4}}", f"{section}: {{negatives: 5}}")
    with pytest.raises(
        UserError, match=rf"`{section}.negatives` 5 is more than `mining.select.samples` 4.*'(faq|code)'"
    ):
        read(tmp_path, monkeypatch, config)
    assert read(tmp_path, monkeypatch, config, REGISTRY.replace("{category", "{negatives: provided, category"))


def test_the_command_line_still_overrides_the_file(tmp_path, monkeypatch):
    assert read(tmp_path, monkeypatch, changes={"seeds": ["7"]}).config.seeds == [7]


def everything(made):
    """All that rules hand their commands as text, and what they read."""
    jobs = [made.train("tiny", 1), made.reference(1), made.optimize("tiny", 1), made.dedup(), made.plan("uniform", 1)]
    jobs += [made.evaluate([name], LAYOUT, {}) for name in made.evaluated] + [made.report(), made.paper_tables()]
    jobs += [made.prepare(name) for name in made.tasks] + [made.prepare_corpus(name) for name in ("nq", "mkqa")]
    return [job.model_dump_json() for job in jobs], list(made.tasks), list(made.fetches())


@given(st.data())
def test_the_order_in_which_files_list_tasks_and_datasets_means_nothing(data):
    first = jobs()
    names = ["a.txt", "b.txt"]
    expected = everything(_with(first, list(first.tasks), list(_registry(first).benchmarks), names))
    tasks = data.draw(st.permutations(list(first.tasks)))
    known = data.draw(st.permutations(list(_registry(first).benchmarks)))
    files = data.draw(st.permutations(names))
    assert everything(_with(first, tasks, known, files)) == expected
    assert everything(_with(first, tasks, known, files, listed=data.draw(st.permutations(tasks)))) == expected


def _with(made, tasks, benchmarks, files, listed=None):
    """The same jobs of a registry in another order, and of a configuration that lists its tasks in another."""
    registry = _registry(made)
    changed = Registry(
        tasks={name: registry.tasks[name] for name in tasks},
        benchmarks={name: registry.benchmarks[name] for name in benchmarks},
    )
    dedup = made.config.dedup.model_copy(update={"queries": list(files)})
    return Jobs(made.config.model_copy(update={"tasks": listed, "dedup": dedup}), changed)


def test_a_weights_file_of_other_tasks_is_refused_before_any_job(tmp_path, monkeypatch):
    (tmp_path / "w.json").write_text('{"domain_weights": {"faqs": 1.0}, "size": {"faqs": 3}}')
    with pytest.raises(UserError, match=r"`weights\.old`: w\.json weighs 'faqs' \(did you mean 'faq'\?\), which"):
        read(tmp_path, monkeypatch, f"{CONFIG}weights: {{old: w.json}}\n")
    (tmp_path / "w.json").write_text('{"domain_weights": {"faq": 1.0, "faqs": 0.0}, "size": {"faq": 3, "faqs": 1}}')
    assert read(tmp_path, monkeypatch, f"{CONFIG}weights: {{old: w.json}}\n").config.weights == {"old": "w.json"}


def test_a_task_without_in_batch_negatives_needs_hard_ones(tmp_path, monkeypatch):
    registry = REGISTRY.replace("code: {", "code: {in_batch: false, ")
    made = read(tmp_path, monkeypatch, f"{CONFIG}training: {{negatives: 1}}\n", registry)
    assert made.train("tiny", 1).own_negatives == ["code"]
    # What reads a row's own negatives anyway is the same job.
    before = read(tmp_path, monkeypatch, f"{CONFIG}training: {{negatives: 1}}\n")
    assert before.train("tiny", 1).own_negatives == []
    assert [made.reference(1), made.optimize("tiny", 1), made.prepare("code")] == [
        *(before.reference(1), before.optimize("tiny", 1), before.prepare("code"))
    ]
    with pytest.raises(UserError, match=r"registry\.yaml: code: `in_batch: false` .*`training\.negatives` is 0; raise"):
        read(tmp_path, monkeypatch, f"{CONFIG}training: {{negatives: 0}}\n", registry)


def test_distillation_says_which_tasks_no_cross_encoder_scores(tmp_path, monkeypatch):
    config = f"{CONFIG}mining: {{rescore: {{model: org/judge}}}}\ntraining: {{distill: {{}}}}\n"
    note = tmp_path / "project.json"
    assert not any("distill" in line for line in read(tmp_path, monkeypatch, config).remarks(note))
    provided = REGISTRY.replace("code: {", "code: {negatives: provided, ")
    (line,) = [line for line in read(tmp_path, monkeypatch, config, provided).remarks(note) if "distill" in line]
    assert "no cross-encoder scores the provided negatives of code;" in line
    with pytest.raises(
        UserError, match=r"`training\.distill` learns the scores of mined negatives, and all tasks have"
    ):
        read(tmp_path, monkeypatch, config, REGISTRY.replace("{category", "{negatives: provided, category"))
