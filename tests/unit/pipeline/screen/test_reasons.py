import json
from types import SimpleNamespace

import pytest
from snakemake.jobs import Reason
from snakemake.persistence import NO_PARAMS_CHANGE, ParamsChange

from tdro.artifacts.filestates import state
from tdro.pipeline.screen.reasons import differences, reasons, undecided


class Rule:
    def __init__(self, name, is_checkpoint):
        self.name, self.is_checkpoint = name, is_checkpoint


class Job:
    """A job as Snakemake has it, whose output is there unless it is `gone`."""

    def __init__(self, rule, tmp_path, gone=False, message="", checkpoint=False):
        self.rule, self.message = Rule(rule, checkpoint), message
        self.output = [str(tmp_path / rule)]
        if not gone:
            (tmp_path / rule).touch()


def why(*jobs, dependencies=(), params=NO_PARAMS_CHANGE, **reason):
    """The reasons of the last job, each of the others being before it."""
    found = {job: Reason() for job in jobs}
    for name, value in reason.items():
        if isinstance(value, set):
            getattr(found[jobs[-1]], name).update(value)
        else:
            setattr(found[jobs[-1]], name, value)
    before = {job: {} for job in jobs}
    before[jobs[-1]] = {job: set(job.output) for job in jobs[:-1]}
    found[jobs[-1]].updated_input_run.update(*before[jobs[-1]].values())
    persistence = SimpleNamespace(params_changed=lambda job: params, code_changed=lambda job: [])
    dag = SimpleNamespace(
        toposorted=lambda: [[job] for job in jobs], needrun=lambda job: True, reason=found.get, dependencies=before,
        forcerules=set(), forcefiles=set(), workflow=SimpleNamespace(persistence=persistence),
    )  # fmt: skip
    return reasons(dag)[jobs[-1]]


def changed(old, new):
    return ParamsChange(only_old={repr(value) for value in old}, only_new={repr(value) for value in new})


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ({"updated_input": {"faq.jsonl"}}, {"input changed": {"faq.jsonl"}}),
        ({"missing_output": {"a"}}, {"output is missing": {"a"}}),
        ({"incomplete_output": {"a"}}, {"interrupted": {"a"}}),
        ({"forced": True}, {"asked for": set()}),
        ({"input_changed": True}, {"other inputs than last time": set()}),
        ({"code_changed": True}, {"its command changed": set()}),
        ({"params": changed([state([])], [state([__file__])])}, {"a local file of its data or model changed": set()}),
        ({"params": changed(["--scores"], [""])}, {"other arguments than last time": set()}),
        (
            {"params": changed([json.dumps({"samples": 16})], [json.dumps({"samples": 8})])},
            {"settings changed": {"mining.select.samples 16 -> 8"}},
        ),
    ],
)
def test_a_reason_of_its_own_is_said_with_what_it_names(tmp_path, reason, expected):
    assert why(Job("select", tmp_path), **reason) == expected


def test_a_changed_file_is_not_said_twice(tmp_path):
    params = changed([state([])], [state([__file__])])
    assert why(Job("prepare_task", tmp_path), updated_input={"a"}, params=params) == {"input changed": {"a"}}


def test_a_job_without_output_is_new_whatever_else_changes(tmp_path):
    before = Job("search", tmp_path)
    assert why(before, Job("select", tmp_path, gone=True), missing_output={"a"}) == {"new": set()}


def test_a_job_behind_one_that_runs_says_which_rule_makes_its_input(tmp_path):
    found = why(Job("search", tmp_path, gone=True), Job("select", tmp_path))
    assert found == {"its input is made anew by": {"search"}}
    assert not undecided(found)


def test_a_job_behind_a_gate_may_run_unless_it_has_a_reason_of_its_own(tmp_path):
    gate = Job("prepared", tmp_path, gone=True, message="All data are prepared", checkpoint=True)
    found = why(gate, Job("encode", tmp_path), input_changed=True)
    assert found == {"may run: decided when all data are prepared": set()}
    assert undecided(found)
    assert not undecided(why(gate, Job("encode", tmp_path), forced=True))


def test_keys_that_came_and_went_are_named_and_long_values_cut():
    found = differences({"a": {"b": 1}, "old": "x" * 99}, {"a": {"b": None, "c": [2]}})
    assert found == ["a.b 1 -> null", f'old "{"x" * 39}... -> nothing', "a.c nothing -> [2]"]
