"""Why each job of a dry run would run, out of what Snakemake knows of it, in a newcomer's words.

Of a job behind one that runs, Snakemake notes no more than that. So what is asked for, the settings and the command are
compared here once more: they are surer reasons than an input that is made anew.
"""

import ast
import json
import os
from collections.abc import Iterator
from typing import Any

#: What a job's reasons name (files, rules, keys), by what is said of them.
Why = dict[str, set[str]]

NEW = "new"
_UNDECIDED = "may run: decided when"
# The section of the configuration that a rule's settings are cut out of, where they do not show it themselves.
_SECTIONS = {rule: f"mining.{rule}." for rule in ("encode", "search", "rescore", "select")} | {
    "dedup": "dedup.",
    "leaks": "dedup.",
    "plan": "training.",
    "plan_tdro": "tdro.",
}
_OTHER_FILE = "a local file of its data or model changed"
_LONGEST = 40


def reasons(dag) -> dict[Any, Why]:
    """The reasons of each job that would run, by the job, earlier jobs first.

    Args:
        dag: Snakemake's, as a dry run has made it.
    """
    found: dict[Any, Why] = {}
    gates: dict[Any, str] = {}  # of jobs that nothing but a checkpoint before them may make run
    for job in (job for level in dag.toposorted() for job in level if dag.needrun(job)):
        why = _own(job, dag)
        if NEW not in why:
            made = [by for by, files in dag.dependencies[job].items() if files & dag.reason(job).updated_input_run]
            sure = {by.rule.name for by in made if not by.rule.is_checkpoint and by not in gates}
            if sure:
                why["its input is made anew by"] = sure
            elif made and not why:
                gates[job] = [by.message if by.rule.is_checkpoint else gates[by] for by in made][-1]
                why[f"{_UNDECIDED} {gates[job][:1].lower()}{gates[job][1:]}"] = set()
        found[job] = why
    return found


def undecided(why: Why) -> bool:
    """Whether a job may be left out when the jobs before it have ended."""
    return any(reason.startswith(_UNDECIDED) for reason in why)


def _own(job, dag) -> Why:
    """The reasons that lie with the job, its files and its settings."""
    reason, persistence = dag.reason(job), dag.workflow.persistence
    outputs = [str(file) for file in job.output]
    if outputs and not any(map(os.path.exists, outputs)):
        return {NEW: set()}
    waits = any(by.rule.is_checkpoint for by in dag.dependencies[job])
    found: dict[str, set[str]] = {
        "output is missing": {str(file) for file in reason.missing_output},
        "interrupted": {str(file) for file in reason.incomplete_output},
        "input changed": {str(file) for file in reason.updated_input - reason.updated_input_run},
    }
    found = {what: names for what, names in found.items() if names}
    found |= _params(job, persistence.params_changed(job))
    if "input changed" in found:  # which names the file
        found.pop(_OTHER_FILE, None)
    plain = {
        "asked for": reason.forced or job.rule in dag.forcerules or not dag.forcefiles.isdisjoint(job.output),
        # Behind a checkpoint a job's inputs are not known before it has been passed.
        "other inputs than last time": reason.input_changed and not waits,
        "its command changed": reason.code_changed or any(persistence.code_changed(job)),
        "its environment changed": reason.software_stack_changed,
        "runs every time": reason.noio or reason.nooutput,
    }
    return found | {what: set() for what, true in plain.items() if true}


def _params(job, changed) -> Why:
    """What differs in a job's parameters: keys of its settings, states of local files, arguments of its command."""
    if not changed:
        return {}
    old, new = ([ast.literal_eval(value) for value in values] for values in (changed.only_old, changed.only_new))
    settings = [[s for s in map(_settings, values) if s is not None] for values in (old, new)]
    others = [value for value in (*old, *new) if _settings(value) is None]
    found: Why = {}
    if any(settings):
        before, now = ({key: value for part in parts for key, value in part.items()} for parts in settings)
        found["settings changed"] = set(differences(before, now, _SECTIONS.get(job.rule.name, "")))
    if any(_is_state(value) for value in others):
        found[_OTHER_FILE] = set()
    if not all(_is_state(value) for value in others):
        found["other arguments than last time"] = set()
    return found


def differences(before: dict[str, Any], now: dict[str, Any], section: str = "") -> list[str]:
    """The keys that differ, with their values.

    >>> differences({"samples": 16, "margin": {"kind": "none"}}, {"samples": 8, "margin": {"kind": "none"}}, "select.")
    ['select.samples 16 -> 8']
    """
    old, new = dict(_flat(before)), dict(_flat(now))
    keys = [key for key in old | new if old.get(key, _ABSENT) != new.get(key, _ABSENT)]
    return [f"{section}{key} {_short(old.get(key, _ABSENT))} -> {_short(new.get(key, _ABSENT))}" for key in keys]


_ABSENT = object()


def _flat(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", part) for inner, part in _flat(value))
        else:
            yield key, value


def _short(value: Any) -> str:
    text = "nothing" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _settings(value: Any) -> dict[str, Any] | None:
    """The settings that a parameter holds as JSON; None for any other parameter."""
    if not isinstance(value, str) or not value.startswith("{"):
        return None
    return json.loads(value)


def _is_state(value: Any) -> bool:
    """Whether a parameter is what :func:`tdro.artifacts.filestates.state` gives."""
    return isinstance(value, str) and len(value) == 16 and set(value) <= set("0123456789abcdef")
