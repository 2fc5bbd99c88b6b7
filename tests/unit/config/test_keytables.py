"""config/README.md and the JSON schema say what the models of tdro/config say."""

import re
from collections.abc import Iterator

import pytest
import yaml

from tdro.config import keytables
from tdro.config.complaints import known_keys
from tdro.config.schema import Config

STALE = "run `make schema`: the models of tdro/config have changed"


def test_the_pages_tables_are_those_of_the_models():
    page = keytables.PAGE.read_text(encoding="utf-8")
    assert keytables.filled(page) == page, STALE


def test_the_schema_is_that_of_the_models():
    assert keytables.SCHEMA.read_text(encoding="utf-8") == keytables.schema(), STALE


def test_a_table_is_made_anew_whatever_stood_there():
    page = keytables.PAGE.read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("| `matryoshka`")]
    assert keytables.filled(page.replace(row, "| `gone` | text | `1` | Nothing. |")) == page
    assert row.startswith("| `matryoshka` | list of: integer ≥ 1 | `[]` | With `[768, 256, 64]` the first 256 and")


def test_a_section_without_a_table_and_a_table_without_a_section_are_errors():
    page = keytables.PAGE.read_text(encoding="utf-8")
    with pytest.raises(KeyError, match="no table of Rescore"):
        keytables.filled(page.replace("<!-- keys: Rescore -->\n", ""))
    with pytest.raises(KeyError, match="Gone"):
        keytables.filled(page + "<!-- keys: Gone -->\n")


def _set(values, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Places of the keys that a configuration sets; those of a list are those of its entries."""
    for value in values if isinstance(values, list) else [values]:
        for key, below in value.items() if isinstance(value, dict) else ():
            if below is not None:
                yield (*place, key)
            yield from _set(below, (*place, key))


def test_experimental_keys_are_keys_that_no_configuration_of_the_project_sets():
    section = keytables.PAGE.read_text(encoding="utf-8").partition("## Experimental keys")[2].partition("\n## ")[0]
    listed = {tuple(key.split(".")) for key in re.findall(r"(?m)^\| `([a-z_.]+)` \|", section)}
    assert len(listed) == section.count("\n|") - 2
    assert {place for place in listed if place[-1] not in known_keys(Config, place[:-1])} == set()
    for file in sorted(keytables.PAGE.parent.glob("*.yaml")):
        assert listed & set(_set(yaml.safe_load(file.read_text(encoding="utf-8")))) == set(), file.name
