"""config/README.md and the JSON schema say what the models of tdro/config say."""

import pytest

from tdro.config import keytables

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
