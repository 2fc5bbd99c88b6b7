"""The tables of keys in config/README.md, made of the models' JSON schemas: key, what it may be, default, description.

In the page a table stands below a comment that names its section, such as ``<!-- keys: Select -->``, or, where it has
most keys of another, ``<!-- keys: Tdro beyond Training -->``. ``make schema`` writes them and the JSON schema anew.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tdro.config.complaints import PATTERNS
from tdro.config.registry import Registry
from tdro.config.schema import Config, schema
from tdro.config.sections import Section

_ROOT = Path(__file__).parents[2]
#: The page, and the JSON schema that editors read.
PAGE, SCHEMA = _ROOT / "config/README.md", _ROOT / "workflow/schemas/config.schema.json"

_TABLE = re.compile(r"(?m)^(<!-- keys: (\w+)(?: beyond (\w+))? -->\n)(?:\|.*\n)*")
_HEADING = re.compile(r"(?m)^## (.+)$")
_CALLED = {pattern: name for name, (pattern, _) in PATTERNS.items()} | {
    PATTERNS["repository"][0]: "`ORG/NAME`",
    PATTERNS["package"][0]: "`NAME==VERSION`",
    PATTERNS["checksum"][0]: "64 hexadecimal digits",
}
_LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_TYPES = {"string": "text", "boolean": "true or false"}


def filled(page: str) -> str:
    """The page with all tables as the models have them now.

    Raises:
        KeyError: for a table of no section, or a section that has no table.
    """
    sections = _sections(Config) | _sections(Registry)
    places = {found[2]: _anchor(page[: found.start()]) for found in _TABLE.finditer(page)}
    places["Prompts"] = places.get("TaskPrompts")  # whose keys are among those
    if missing := set(sections) - set(places):
        raise KeyError(f"{PAGE.name} has no table of {', '.join(sorted(missing))}")

    def rows(name: str) -> dict[str, str]:
        return {key: _row(key, sections[name], sections, places) for key in sections[name]["properties"]}

    def table(found: re.Match) -> str:
        elsewhere = rows(found[3]).values() if found[3] else ()
        own = [row for row in rows(found[2]).values() if row not in elsewhere]
        return "".join([found[1], "| key | type | default | effect |\n|---|---|---|---|\n", *own])

    return _TABLE.sub(table, page)


def _sections(whole: type[Section]) -> dict[str, Any]:
    """Schemas of a section and of all below it, by the name of the model."""
    found = whole.model_json_schema()
    return {**found.pop("$defs"), whole.__name__: found}


def _anchor(text: str) -> str:
    """Where the last heading of a text is linked to."""
    return re.sub(r"[^\w -]", "", _HEADING.findall(text)[-1].lower()).replace(" ", "-")


def _row(key: str, section: Mapping[str, Any], sections: Mapping[str, Any], places: Mapping[str, str]) -> str:
    value = section["properties"][key]
    below = sections.get(_name_of(value), {})
    effect = re.sub(r"(?<!`)\bdocs/\w+\.md", r"[\g<0>](../\g<0>)", value.get("description") or below["description"])
    return f"| `{key}` | {_kind(value, places)} | {_default(key in section.get('required', ()), value)} | {effect} |\n"


def _default(required: bool, value: Mapping[str, Any]) -> str:
    if required:
        return "required"
    default = value["default"]
    return "its defaults" if isinstance(default, dict) and default else f"`{json.dumps(default)}`"


def _name_of(value: Mapping[str, Any]) -> str:
    """The model that a schema refers to; empty for none."""
    return value.get("$ref", "").rpartition("/")[2]


def _kind(value: Mapping[str, Any], places: Mapping[str, str]) -> str:
    """What a value may be, in words."""
    if choices := value.get("anyOf"):
        return ", or ".join(_kind(one, places) for one in choices if one.get("type") != "null")
    if name := _name_of(value):
        return f"[section](#{places[name]})"
    if words := value.get("enum"):
        return ", ".join(f"`{word}`" for word in words)
    if inner := value.get("prefixItems"):
        return f"list of: {', '.join(_kind(one, places) for one in inner)}"
    if value["type"] == "array":
        least = f", at least {value['minItems']}" if value.get("minItems", 1) > 1 else ""
        return f"list of: {_kind(value['items'], places)}{least}"
    if value["type"] == "object":
        (inner,) = value["patternProperties"].values()
        return f"names, each with: {_kind(inner, places)}"
    if "pattern" in value:
        return _CALLED.get(value["pattern"], "[mixture](#mixtures)")
    limits = [f"{sign} {value[key]:g}" for key, sign in _LIMITS.items() if key in value and value[key] != 2**32]
    return f"{_TYPES.get(value['type'], value['type'])} {', '.join(limits)}".strip()


def main() -> None:
    """Write the page and the JSON schema."""
    SCHEMA.write_text(schema(), encoding="utf-8")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
