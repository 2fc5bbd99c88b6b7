"""Templates of columns: their parts, and what is said of wrong ones."""

import pytest

from tdro.config.registry import Registry
from tdro.config.sections import parse
from tdro.config.templates import columns_of, pieces
from tdro.errors import UserError


def test_a_name_without_braces_is_a_column():
    assert pieces("a name: with signs!") is None


def test_parts_of_a_template():
    assert [tuple(piece) for piece in pieces("{{{Question body}}}: {id!r}")] == [
        ("{", False), ("Question body", True), ("}", False), (": ", False), ("id!r", True),
    ]  # fmt: skip


def test_columns_are_named_once():
    assert columns_of(["{title} {body}", "body", None, "x"]) == ["title", "body", "x"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{title", "has a `{` without its partner; write {column}, or `{{`"),
        ("title}", "has a `}` without its partner"),
        ("{title} { }", "has braces around nothing"),
        ("{{title}}", "names no column; write it in single braces"),
    ],
)
def test_a_wrong_template_is_told_with_its_key(template, said):
    columns = {"query": template, "positive": "p"}
    source = {"reader": "table", "path": "x.csv", "columns": columns}
    entry = {"source": source, "category": "c", "language": "en", "instruction": "Find."}
    with pytest.raises(UserError, match=r"`tasks\.a\.source\.columns\.query`: the template") as error:
        parse(Registry, {"tasks": {"a": entry}}, "r.yaml")
    assert said in str(error.value)
