"""Configurations and registries: what is accepted, what is refused and with which sentence."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tdro.config.registry import Registry
from tdro.config.schema import Config, select
from tdro.config.sections import load, parse, settings
from tdro.config.training import Tdro
from tdro.errors import UserError
from tdro.formats import visible

ROOT = Path(__file__).parents[3]
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))
REGISTRIES = sorted((ROOT / "config" / "tasks").glob("*.yaml"))
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.json"

CONFIG = {
    "registry": "tasks.yaml",
    "benchmarks": ["claims"],
    "models": [{"name": "small", "base": "org/small"}, {"name": "large", "base": "org/large"}],
    "proxy": "small",
}
DATASET = {"source": {"reader": "released"}, "language": "en", "instruction": "Find an answer."}
TASK = {**DATASET, "category": "web"}
REGISTRY = {"tasks": {"news": TASK, "code": TASK, "duplicates": TASK}, "benchmarks": {"claims": DATASET}}

# Changes that make CONFIG wrong, and what the sentence must name.
WRONG_CONFIGS = {
    "unknown key at the top": ({"modles": []}, ["`modles`", "known keys are", "models"]),
    "unknown key in a section": ({"tdro": {"stepsize": 1}}, ["`tdro.stepsize`", "step_size"]),
    "unknown key in a model": (
        {"models": [{"name": "small", "base": "b", "layer": 2}]},
        ["`models.0.layer`", "layers"],
    ),
    "missing key": ({"registry": None}, ["`registry`"]),
    "section that is a number": ({"mining": 3}, ["`mining`"]),
    "text for a number": ({"training": {"steps": "many"}}, ["`training.steps`", "a whole number is expected"]),
    "dimensions that rise": ({"training": {"matryoshka": [64, 256]}}, ["`training.matryoshka`", "[64, 256] must fall"]),
    "dimension twice": ({"training": {"matryoshka": [64, 64]}}, ["`training.matryoshka`", "each dimension once"]),
    "dimensions of evaluation that rise": (
        {"evaluation": {"dimensions": [64, 65]}},
        ["`evaluation.dimensions`", "fall"],
    ),
    "no dimension left": ({"training": {"matryoshka": [64, 0]}}, ["`training.matryoshka.1`", "1"]),
    "dimensions of tDRO": ({"tdro": {"matryoshka": [64]}}, ["`tdro.matryoshka`"]),
    "zero steps": ({"training": {"steps": 0}}, ["`training.steps`"]),
    "one row a step": ({"training": {"batch_size": 1}}, ["`training.batch_size`"]),
    "negative step size": ({"tdro": {"step_size": -0.1}}, ["`tdro.step_size`"]),
    "infinite temperature": ({"training": {"temperature": float("inf")}}, ["`training.temperature`"]),
    "share above one": ({"tdro": {"ema": 1.5}}, ["`tdro.ema`"]),
    "unknown measure": ({"tdro": {"measure": "sum"}}, ["`tdro.measure`", "ratio"]),
    "tDRO without negatives": ({"tdro": {"negatives": 0}}, ["`tdro.negatives`"]),
    "accumulation does not divide": ({"tdro": {"batch_size": 10, "accumulation": 4}}, ["batch_size 10", "4"]),
    "ranks reversed": ({"mining": {"select": {"ranks": [100, 2]}}}, ["`mining.select`", "[100, 2]"]),
    "one rank": ({"mining": {"select": {"ranks": [2]}}}, ["`mining.select.ranks"]),
    "ranks behind the candidates": (
        {"mining": {"search": {"depth": 50}, "select": {"ranks": [2, 100]}}},
        ["`mining`", "search.depth 50"],
    ),
    "no candidate has a rank that is kept": (
        {"mining": {"search": {"depth": 2}}},
        ["`mining`", "search.depth 2", "rank 2"],
    ),
    "scores that exclude all": (
        {"mining": {"select": {"min_score": 0.5, "max_score": 0.4}}},
        ["`mining.select`", "max_score 0.4"],
    ),
    "rescoring without a model": ({"mining": {"rescore": {"depth": 5}}}, ["`mining.rescore.model`"]),
    "distillation without a teacher": ({"training": {"distill": {}}}, ["training.distill", "mining.rescore"]),
    "distillation without negatives": (
        {"training": {"distill": {}, "negatives": 0}, "mining": {"rescore": {"model": "org/judge"}}},
        ["`training`", "negatives"],
    ),
    "distillation of nothing": ({"training": {"distill": {"weight": 0}}}, ["`training.distill.weight`"]),
    "margin of one": ({"mining": {"select": {"margin": 1}}}, ["`mining.select.margin`"]),
    "distance beyond the search": ({"dedup": {"distance": 16}}, ["`dedup.distance`"]),
    "unknown precision": ({"encoding": {"precision": "fp16"}}, ["`encoding.precision`", "bf16"]),
    "model with a slash": ({"models": [{"name": "a/b", "base": "c"}]}, ["`models.0.name`"]),
    "model twice": ({"models": [CONFIG["models"][0]] * 2}, ["models", "'small'", "twice"]),
    "proxy that is no model": ({"proxy": "tiny"}, ["'tiny'", "small, large"]),
    "no model": ({"models": []}, ["`models`"]),
    "no benchmark": ({"benchmarks": []}, ["`benchmarks`"]),
    "benchmark twice": ({"benchmarks": ["claims", "claims"]}, ["benchmarks", "'claims'", "twice"]),
    "a single task": ({"tasks": ["news"]}, ["`tasks`"]),
    "seed twice": ({"seeds": [1, 1]}, ["seeds", "twice"]),
    "unknown mixture": ({"mixtures": ["uniform", "best"]}, ["`mixtures.1`"]),
    "top of nothing": ({"mixtures": ["uniform", "top0"]}, ["`mixtures.1`"]),
    "top of more than all": ({"mixtures": ["uniform", "top101"]}, ["`mixtures.1`"]),
    "file without a path": ({"mixtures": ["uniform", "file-old"], "weights": {}}, ["weights has no file 'old'"]),
    "no baseline": ({"mixtures": ["curr"]}, ["uniform"]),
    "confidence in percent": ({"report": {"confidence": 95}}, ["`report.confidence`"]),
}

WRONG_REGISTRIES = {
    "unknown key of a task": ({"tasks": {"news": {**TASK, "prompt": "x"}}}, ["`tasks.news.prompt`", "instruction"]),
    "unknown key of a source": (
        {"tasks": {"news": {**TASK, "source": {"reader": "r", "url": "x"}}}},
        ["`tasks.news.source.url`", "package"],
    ),
    "task without category": ({"tasks": {"news": DATASET}}, ["`tasks.news.category`", "missing"]),
    "query and positive in one column": (
        {
            "tasks": {
                "news": {
                    **TASK,
                    "source": {"reader": "table", "path": "t.csv", "columns": {"query": "q", "positive": "q"}},
                }
            }
        },
        ["`tasks.news.source.columns`", "different columns"],
    ),
    "empty instruction": ({"tasks": {"news": {**TASK, "instruction": ""}}}, ["`tasks.news.instruction.0`"]),
    "no instruction": ({"tasks": {"news": {**TASK, "instruction": []}}}, ["`tasks.news.instruction`"]),
    "name with a space": ({"tasks": {"the news": TASK}}, ["the news"]),
    "package without version": (
        {"tasks": {"news": {**TASK, "source": {"reader": "r", "package": "ruff"}}}},
        ["`tasks.news.source.package`"],
    ),
    "no task": ({"tasks": {}}, ["`tasks`"]),
    "benchmark named as a task": ({"benchmarks": {"news": DATASET}}, ["'news'", "rename"]),
    "two parts of one name": (
        {"benchmarks": {"cqa": {**DATASET, "parts": ["a"]}, "cqa-a": DATASET}},
        ["two parts of benchmarks have the name 'cqa-a'"],
    ),
    "suite named as a benchmark": (
        {"benchmarks": {"nq": DATASET, "x": {**DATASET, "suite": "nq"}}},
        ["suite 'nq' has the name"],
    ),
    "benchmark named in_domain": ({"benchmarks": {"in_domain": DATASET}}, ["'in_domain'", "rename"]),
}


def _changed(values: dict, change: dict) -> dict:
    changed = {**copy.deepcopy(values), **change}
    return {key: value for key, value in changed.items() if value is not None}


def _refusal(section, values) -> str:
    with pytest.raises(UserError) as caught:
        parse(section, values, "mine.yaml")
    return str(caught.value)


def test_a_small_config_is_accepted_and_has_the_papers_defaults():
    config = parse(Config, CONFIG, "mine.yaml")
    assert (config.training.batch_size, config.training.steps, config.training.negatives) == (2048, 1000, 1)
    assert (config.tdro.negatives, config.tdro.accumulation, config.tdro.step_size) == (7, 4, 0.02)
    assert (config.mining.select.ranks, config.mining.select.samples, config.mining.select.margin) == (None, 16, None)


@pytest.mark.parametrize(("change", "words"), WRONG_CONFIGS.values(), ids=WRONG_CONFIGS)
def test_wrong_configs_are_refused_in_a_sentence(change, words):
    sentence = _refusal(Config, _changed(CONFIG, change))
    assert sentence.startswith("mine.yaml: ")
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(("change", "words"), WRONG_REGISTRIES.values(), ids=WRONG_REGISTRIES)
def test_wrong_registries_are_refused_in_a_sentence(change, words):
    sentence = _refusal(Registry, _changed(REGISTRY, change))
    assert sentence.startswith("mine.yaml: ")
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("change", "meant"),
    [
        ({"modles": []}, "models"),
        ({"tdro": {"stepsize": 1}}, "step_size"),
        ({"mixtures": ["uniform", "tpo70"]}, "top70"),
        ({"mixtures": ["uniform", "Top-70"]}, "top70"),
        ({"mixtures": ["uniform", "cur@ratio-0.05"]}, "curr@ratio-0.05"),
        ({"mixtures": ["uniform", "top"]}, "top70"),
        ({"tdro": {"sampling": "proportionl"}}, "proportional"),
        ({"tdro": {"measure": "relaesed"}}, "released"),
        ({"proxy": "smal"}, "small"),
        ({"weights": {"old": "w.json"}, "mixtures": ["uniform", "file-odl"]}, "old"),
        ({"soups": {"two": {"of": ["curr", "mean"]}}, "mixtures": ["uniform", "soup-tow"]}, "two"),
        ({"soups": {"two": {"of": ["curr", "mena"]}}}, "mean"),
        ({"mixtures": ["uniform", "suop-two"]}, "soup-two"),
        ({"mixtures": ["uniform", "bags80-1"]}, "bag80-1"),
        ({"sweep": {"step_size": [0.05]}, "mixtures": ["uniform", "curr@released-0.5"]}, "released-0.05"),
    ],
)
def test_the_name_probably_meant_is_told(change, meant):
    assert f"(did you mean '{meant}'?)" in _refusal(Config, {**CONFIG, **change})


def test_a_misspelt_mixture_is_told_the_names_and_no_pattern():
    sentence = _refusal(Config, {**CONFIG, "mixtures": ["uniform", "best"]})
    assert "temperatureT, unimaxN" in sentence
    assert "(?:" not in sentence and len(sentence) < 400


def test_a_key_of_another_section_is_told_which():
    assert "unknown key `step_size` (it is a key of `tdro` and `sweep`)" in _refusal(Config, {**CONFIG, "step_size": 1})


@pytest.mark.parametrize(
    "key", ["data", "mining", "dedup", "encoding", "evaluation", "training", "tdro", "sweep", "report", "weights"]
)
def test_a_section_whose_keys_are_all_commented_out_takes_the_defaults(key):
    assert parse(Config, {**CONFIG, key: None}, "mine.yaml") == parse(Config, CONFIG, "mine.yaml")


def test_lists_and_sections_within_sections_that_are_empty_take_the_defaults():
    values = {"seeds": None, "mixtures": None, "mining": {"select": None}, "dedup": {"queries": None}}
    assert parse(Config, {**CONFIG, **values}, "mine.yaml") == parse(Config, CONFIG, "mine.yaml")
    assert parse(Registry, {**REGISTRY, "benchmarks": None}, "tasks.yaml").benchmarks == {}


@pytest.mark.parametrize("key", ["benchmarks", "models"])
def test_what_has_no_default_may_not_be_empty(key):
    assert _refusal(Config, {**CONFIG, key: None}).startswith(f"mine.yaml: `{key}`: is empty; expected a list")


@pytest.mark.parametrize("blank", ["", "  ", "\t\n"])
def test_blank_texts_are_refused(blank):
    for key in ("instruction", "language", "category"):
        sentence = _refusal(Registry, {"tasks": {"news": {**TASK, key: blank}}})
        assert f"`tasks.news.{key}" in sentence and "not blank" in sentence
    assert "not blank" in _refusal(Registry, {"tasks": {"news": {**TASK, "instruction": ["Find it.", blank]}}})
    assert "`models.0.base`" in _refusal(Config, {**CONFIG, "models": [{"name": "small", "base": blank}]})


def test_every_wrong_key_has_a_line():
    sentence = _refusal(Config, {**CONFIG, "modles": [], "tdro": {"ema": 2}})
    assert len(sentence.splitlines()) == 2


@given(st.text(min_size=1).filter(lambda key: key not in Config.model_fields))
def test_no_unknown_key_passes(key):
    assert f"unknown key `{visible(key)}`" in _refusal(Config, {**CONFIG, key: 1})


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.integers())))
def test_what_is_no_mapping_is_refused(values):
    assert _refusal(Config, values).startswith("mine.yaml: ")


@given(rows=st.integers(2, 4096), windows=st.integers(1, 64))
def test_accumulation_divides_the_batch(rows, windows):
    values = {"batch_size": rows, "accumulation": windows}
    if rows % windows:
        assert str(rows) in _refusal(Tdro, values)
    else:
        assert parse(Tdro, values, "mine.yaml").accumulation == windows


def test_a_config_does_not_change_once_read():
    with pytest.raises(ValueError, match="frozen"):
        parse(Config, CONFIG, "mine.yaml").tdro.steps = 3


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"absent\.yaml cannot be read"):
        load(tmp_path / "absent.yaml", Config)
    (tmp_path / "broken.yaml").write_text("a: [1")
    with pytest.raises(UserError, match=r"broken\.yaml is not YAML"):
        load(tmp_path / "broken.yaml", Config)


def test_settings_are_a_section_in_yaml_or_json():
    assert settings(Tdro, None) == Tdro()
    assert settings(Tdro, "{step_size: 0.1}") == settings(Tdro, '{"step_size": 0.1}') == Tdro(step_size=0.1)
    with pytest.raises(UserError, match="--settings: unknown key `step`"):
        settings(Tdro, "step: 1")
    with pytest.raises(UserError, match="--settings is not YAML"):
        settings(Tdro, "{")


def _select(config=None, registry=None):
    return select(
        parse(Config, _changed(CONFIG, config or {}), "mine.yaml"),
        parse(Registry, _changed(REGISTRY, registry or {}), "tasks.yaml"),
    )


def test_select_takes_all_tasks_or_those_named_by_name():
    assert list(_select()[0]) == ["code", "duplicates", "news"]
    tasks, benchmarks = _select({"tasks": ["news", "duplicates"]})
    assert (list(tasks), list(benchmarks)) == (["duplicates", "news"], ["claims"])


def test_select_names_what_the_registry_lacks():
    with pytest.raises(UserError, match=r"no task 'nwes' \(did you mean 'news'\?\); it has news, code, duplicates\."):
        _select({"tasks": ["nwes", "code"]})
    with pytest.raises(UserError, match=r"no benchmark 'clams' \(did you mean 'claims'\?\); it has claims\."):
        _select({"benchmarks": ["clams"]})
    with pytest.raises(UserError, match="it has none"):
        _select(registry={"benchmarks": {}})


def test_in_domain_evaluation_needs_held_out_rows():
    with pytest.raises(UserError, match="held_out"):
        _select({"benchmarks": ["in_domain"]})
    tasks = {"news": {**TASK, "held_out": 5}, "code": TASK}
    assert _select({"benchmarks": ["in_domain"]}, {"tasks": tasks})[1] == {}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_of_the_project_are_valid(path):
    config = load(path, Config)
    tasks, benchmarks = select(config, load(ROOT / config.registry, Registry))
    assert len(tasks) >= 2
    assert {*benchmarks} == {*config.benchmarks, *config.dev_benchmarks} - {"in_domain"}
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), json.loads(SCHEMA.read_text("utf-8")))


def test_the_small_registry_reads_what_the_demos_reads():
    """Its figures stay those of docs/results.md, whatever the demo's sizes become; sources are the same packages."""
    small, demo = (load(ROOT / "config" / "tasks" / f"{name}.yaml", Registry) for name in ("small", "demo"))
    entries, others = ({**known.tasks, **known.benchmarks} for known in (small, demo))
    assert {name: entry.source for name, entry in entries.items()} == {name: others[name].source for name in entries}
    # A task of the demo's that the studies choose on, and do not train on.
    assert set(small.benchmarks) - set(demo.benchmarks) == {"cf_names"}
    assert {task.held_out_corpus for task in small.tasks.values()} == {150}
    assert {task.held_out_corpus for task in demo.tasks.values()} == {1000}


@pytest.mark.parametrize("path", REGISTRIES, ids=lambda path: path.stem)
def test_registries_of_the_project_are_valid(path):
    registry = load(path, Registry)
    for name, dataset in {**registry.tasks, **registry.benchmarks}.items():
        for instruction in dataset.instruction:
            assert instruction.endswith((".", "?")), f"{name}: the instruction is a sentence"
        assert (dataset.source.path is None) or not Path(dataset.source.path).is_absolute()


def test_the_papers_config_is_the_papers():
    config = load(ROOT / "config" / "paper.yaml", Config)
    tasks, benchmarks = select(config, load(ROOT / config.registry, Registry))
    released = json.loads((ROOT / "resources" / "released_weights" / "curr.json").read_text("utf-8"))
    assert list(tasks) == sorted(released["domain_ids"])  # the same 25
    assert sum(task.negatives == "provided" for task in tasks.values()) == 9
    assert sum(task.symmetric for task in tasks.values()) == 5
    assert list(benchmarks) == config.benchmarks
    suites = [benchmark.suite for benchmark in benchmarks.values()]
    assert [suites.count(suite) for suite in ("BEIR", "MIRACL", "MKQA")] == [15, 1, 1]
    assert [len(benchmarks[name].parts) for name in ("beir-cqadupstack", "miracl-dev", "mkqa")] == [12, 18, 25]
    assert benchmarks["beir-msmarco"].source.path.endswith("qrels/dev.tsv")
    assert len(config.models) * len(config.mixtures) == 18


@pytest.mark.parametrize("path", sorted((ROOT / "resources" / "released_weights").glob("*.json")), ids=lambda p: p.stem)
def test_released_weights_name_the_papers_tasks(path):
    weights = json.loads(path.read_text(encoding="utf-8"))
    assert set(weights["domain_weights"]) <= set(load(ROOT / "config" / "tasks" / "paper.yaml", Registry).tasks)
    assert sum(weights["domain_weights"].values()) == pytest.approx(1, abs=1e-5)
