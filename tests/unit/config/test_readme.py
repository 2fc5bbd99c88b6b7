"""config/README.md and the models of tdro/config/schema.py and tdro/config/registry.py say the same."""

import json
import re
from pathlib import Path

import pytest

from tdro.config import data, mining, models, prompts, registry, schema, sections, training

README = Path(__file__).parents[3] / "config" / "README.md"

# Heading of a table -> the section that it documents.
SECTIONS = {
    "Configuration: top level": schema.Config,
    "Configuration: `models[]`": models.Model,
    "Configuration: `models[].prompts`": prompts.TaskPrompts,
    "Configuration: `models[].lora`": models.Lora,
    "Configuration: `data`": data.Data,
    "Configuration: `mining`": mining.Mining,
    "Configuration: `mining.encode`": mining.Encode,
    "Configuration: `mining.search`": mining.Search,
    "Configuration: `mining.rescore`": mining.Rescore,
    "Configuration: `mining.select`": mining.Select,
    "Configuration: `dedup`": data.Dedup,
    "Configuration: `encoding`": models.Encoding,
    "Configuration: `evaluation`": schema.Evaluation,
    "Configuration: `training`": training.Training,
    "Configuration: `training.distill`": training.Distill,
    "Configuration: `tdro`": training.Tdro,
    "Configuration: `sweep`": training.Sweep,
    "Configuration: `report`": schema.Report,
    "Registry: top level": registry.Registry,
    "Registry: `tasks.*`": registry.Task,
    "Registry: `benchmarks.*`": registry.Benchmark,
    "Registry: `source`": registry.Source,
    "Registry: `columns`": registry.Columns,
}


def _defaults(section: type[sections.Section]) -> dict[str, str]:
    """Key -> default, written as the README does."""
    return {key: _written(field) for key, field in section.model_fields.items()}


def _written(field) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "its defaults" if isinstance(value, sections.Section) else f"`{json.dumps(value)}`"


def _expected(section: type[sections.Section]) -> dict[str, str]:
    if section is not training.Tdro:
        return _defaults(section)
    shared = _defaults(training.Training)  # the README refers to that table for what is the same
    return {key: default for key, default in _defaults(section).items() if shared.get(key) != default}


def _tables() -> dict[str, dict[str, str]]:
    """Heading -> key -> default, of every table with a column `default`."""
    tables = {}
    for heading, body in re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", README.read_text(encoding="utf-8"), re.MULTILINE):
        rows = re.findall(r"^\| `([^`|]+)` \|[^|]+\| ([^|]+) \|[^|]+\|$", body, re.MULTILINE)
        if "| key | type | default | effect |" in body:
            tables[heading] = dict(rows)
            assert len(tables[heading]) == len(rows) == body.count("\n|") - 2, f"a row of {heading!r} cannot be read"
    return tables


@pytest.mark.parametrize(("heading", "section"), SECTIONS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_every_key_is_documented_with_its_default(heading, section):
    documented = _tables().get(heading, {})
    assert documented == _expected(section), f"correct the table under `## {heading}` of config/README.md"


def test_every_section_has_a_table_and_every_table_a_section():
    found = {
        value
        for module in (data, mining, models, training, schema, registry)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, sections.Section)
    }
    bases = {base for section in found for base in section.__mro__[1:]}  # documented with those that inherit them
    assert found - bases == set(SECTIONS.values())
    assert set(_tables()) == set(SECTIONS)
