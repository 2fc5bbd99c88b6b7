"""YAML that says a thing twice, or that reads a word as something else than it seems."""

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tdro.artifacts.files import read_json
from tdro.artifacts.strictyaml import read, read_file
from tdro.config.registry import Registry
from tdro.config.schema import Config
from tdro.config.sections import load, settings
from tdro.config.training import Tdro
from tdro.errors import UserError
from tdro.readers.fetch import Manifest

TASK = "{category: web, language: en, instruction: Find it., source: {reader: jsonl, path: a.jsonl}}"
CONFIG = "registry: r.yaml\nbenchmarks: [web]\nmodels: [{name: m, base: b}]\nproxy: m\n"


def refusal(section, text, tmp_path):
    """What is said of a file."""
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load(path, section)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


def test_a_task_that_stands_twice_is_refused_with_both_lines(tmp_path):
    said = refusal(Registry, f"tasks:\n  faq: {TASK}\n  code: {TASK}\n  faq: {TASK}\n", tmp_path)
    assert said == ", line 4: `faq` stands here a second time, after line 2; keep one of them."


def test_a_section_that_stands_twice_is_refused_with_both_lines(tmp_path):
    said = refusal(Config, CONFIG + "training: {steps: 1}\nseeds: [1]\ntraining: {batch_size: 4}\n", tmp_path)
    assert said == ", line 7: `training` stands here a second time, after line 5; keep one of them."


def test_every_key_that_stands_twice_has_a_line_of_its_own(tmp_path):
    said = refusal(Config, CONFIG + "tdro:\n  ema: 0.1\n  ema: 0.2\nseeds: [1]\nseeds: [2]\n", tmp_path)
    assert [line.split(":")[0].split("line ")[-1] for line in said.splitlines()] == ["7", "9"]


@pytest.mark.parametrize("text", ['{"step_size": 0.1, "step_size": 0.2}', "{step_size: 0.1, step_size: 0.2}"])
def test_settings_and_json_say_a_thing_once_too(text, tmp_path):
    with pytest.raises(UserError, match=r"--settings, line 1: `step_size` stands here a second time"):
        settings(Tdro, text)
    (tmp_path / "job.yaml").write_text(text)
    with pytest.raises(UserError, match=r"job\.yaml, line 1: `step_size` stands here a second time"):
        settings(Tdro, f"@{tmp_path / 'job.yaml'}")


def test_manifests_and_weights_say_a_thing_once_too(tmp_path):
    path = tmp_path / "weights.json"
    path.write_text('{\n\t"domain_weights": {"a": 0.5, "b": 0.5, "a": 0.5}\n}')
    with pytest.raises(UserError, match=r"weights\.json, line 2: `a` stands here a second time"):
        read_json(path)
    with pytest.raises(UserError, match=r"weights\.json, line 2: `a` stands here a second time"):
        load(path, Manifest)


def test_what_a_merged_mapping_overrides_does_not_stand_twice():
    assert read("base: &b {x: 1}\nother:\n  <<: *b\n  x: 2\n", "f").values == {"base": {"x": 1}, "other": {"x": 2}}


@pytest.mark.parametrize("name", ["no", "null", "123", "on", "~", "1.5", "2024-01-01", "True", "1_000"])
def test_a_name_that_yaml_reads_as_something_else_is_told_to_take_quotes(name, tmp_path):
    said = refusal(Registry, f"tasks:\n  {name}: {TASK}\n  code: {TASK}\n", tmp_path)
    assert said.startswith(f", line 2: YAML reads the key `{name}` as ")
    assert f'quotes: "{name}"' in said


def test_a_name_that_only_other_readers_take_for_a_number_is_a_name(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(f"tasks:\n  1e3: {TASK}\n  'no': {TASK}\n")
    assert list(load(path, Registry).tasks) == ["1e3", "no"]


@pytest.mark.parametrize(("word", "said"), [("no", "false"), ("12", "12"), ("2024-01-01", "date")])
def test_a_text_that_yaml_reads_as_something_else_is_told_to_take_quotes(word, said, tmp_path):
    for key in ("language", "category"):
        task = TASK.replace(f"{key}: {'web' if key == 'category' else 'en'}", f"{key}: {word}")
        found = refusal(Registry, f"tasks:\n  faq: {task}\n  code: {TASK}\n", tmp_path)
        assert found.startswith(f": `tasks.faq.{key}`: a text is expected; YAML reads `{word}` as ")
        assert said in found and f'quotes help: "{word}"' in found


def test_words_in_lists_of_names_and_choices_are_told_to_take_quotes(tmp_path):
    assert "`tasks.1`: a text is expected; YAML reads `no` as false" in refusal(
        Config, CONFIG + "tasks: [faq, no]\n", tmp_path
    )
    assert "YAML reads `off` as false" in refusal(Config, CONFIG + "tdro: {weight_clip: off}\n", tmp_path)


@pytest.mark.parametrize("word", ["010", "-07", "1:30", "00", "190:20:30", "1:30.5"])
def test_numbers_of_another_base_are_refused(word, tmp_path):
    said = refusal(Config, CONFIG + f"seeds: [1,\n  {word}]\n", tmp_path)
    assert said.startswith(f", line 6: YAML reads `{word}` as {yaml.safe_load(word)}; write ")


@pytest.mark.parametrize("word", ["yes", "on", "true"])
def test_true_is_no_number(word, tmp_path):
    for text, key in ((f"seeds: [{word}]", "seeds.0"), (f"training: {{temperature: {word}}}", "training.temperature")):
        said = refusal(Config, CONFIG + text, tmp_path)
        assert said.startswith(f": `{key}`: a number is expected; YAML reads `{word}` as true")


def test_yes_is_true_where_that_is_asked_for(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG + "dedup: {within: yes}\nseeds: [1_000, 0x10]\n")
    config = load(path, Config)
    assert (config.dedup.within, config.seeds) == (True, [1000, 16])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n\tb: 1\n", "line 2: a tab stands where only spaces may"),
        ("a:\n  b: 1\n   c: 2\n", "line 3: .*wrong indentation"),
        ("a:\n  - b: 1\n    c: 2\n   d: 3\n", "line 4: wrong indentation"),
        ("a: Answer: the question\n", "line 1: a second `:` in one line"),
        ("a: [1\n", "line 2: "),
        ("a: 2024-13-45\n", "month"),
        ("a: \x01\n", "not allowed"),
        ("[" * 5000, "nested too deeply"),
        ("a: 1\n---\nb: 2\n", "another document"),
    ],
)
def test_what_is_no_yaml_is_one_sentence_with_its_line(text, said, tmp_path):
    found = refusal(Config, text, tmp_path)
    assert len(found.splitlines()) == 1
    assert found.startswith(" is not YAML")
    assert re.search(said, found), found


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("b: 1\na: !!timestamp 9999-99-990.95\n", "9999-99-990.95", "timestamp"),
        ("b: 1\na: [1, !!bool maybe]\n", "maybe", "bool"),
        ("b: 1\na: !!int ''\n", "", "int"),
        ("b: 1\na: !!float ''\n", "", "float"),
    ],
)
def test_a_value_that_is_not_of_its_tags_kind_is_told_by_its_line(text, value, kind):
    with pytest.raises(UserError, match=f"^a.yaml, line 2: `{value}` is none of the kind `!!{kind}`; take that away.$"):
        read(text, "a.yaml")


def test_a_tag_that_fits_says_of_which_kind_a_value_is():
    assert read("a: !!int '3'\nb: !!bool 'yes'\nc: !!str 4\n", "a.yaml").values == {"a": 3, "b": True, "c": "4"}


def test_a_file_in_another_encoding_is_named(tmp_path):
    (tmp_path / "u.yaml").write_text("a: é", encoding="utf-16")
    with pytest.raises(UserError, match=r"u\.yaml is not YAML: byte 0 is not UTF-8"):
        read_file(tmp_path / "u.yaml")
    (tmp_path / "bom.yaml").write_text("a: é", encoding="utf-8-sig")
    assert read_file(tmp_path / "bom.yaml").values == {"a": "é"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_what_json_and_yaml_write_is_read_as_it_was(values):
    assert read(json.dumps(values), "f").values == values
    assert read(json.dumps(values, indent="\t", ensure_ascii=False), "f").values == values


@given(st.dictionaries(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1), VALUES, min_size=1))
def test_a_key_written_twice_is_found_whatever_it_is(values):
    text = json.dumps(values)
    key = next(iter(values))
    twice = f"{text[:-1]}, {json.dumps(key)}: 1}}"
    with pytest.raises(UserError, match=r"stands (here a second time|twice)"):
        read(twice, "f")
