"""The registry of readers: each has a module, and wrong sources are named."""

from importlib import import_module

import pytest
from reading import written

from tdro.config.registry import Columns, Source
from tdro.errors import UserError
from tdro.readers.base import READERS, Passage, Row, rows


def test_every_reader_has_a_module():
    for name, needs in READERS.items():
        folder = "tdro.readers" if needs in ("path", "columns") else "tdro.readers.demo"
        assert callable(import_module(f"{folder}.{name}").read)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"reader": "nope"}, "'nope' is unknown.*beir.*zh_riddle"),
        ({"reader": "jsonl"}, "'jsonl' needs the key `path`"),
        ({"reader": "aws_api"}, "'aws_api' needs the key `package`"),
        ({"reader": "table"}, "'table' needs the key `path`"),
        ({"reader": "table", "path": "x.csv"}, "'table' needs the key `columns`"),
        (
            {"reader": "jsonl", "path": "x.jsonl", "columns": Columns(query="q", positive="p")},
            "'jsonl' knows its columns; remove `columns`",
        ),
        ({"reader": "py_code", "hub": "org/data"}, "'py_code' does not read hub datasets; remove `hub`"),
    ],
)
def test_a_source_that_its_reader_cannot_use_is_named(source, said):
    with pytest.raises(UserError, match=said):
        rows(Source(**source))


def test_markup_is_taken_away_by_any_reader(tmp_path):
    written(
        tmp_path / "t.jsonl",
        [{"query": "<b>a</b>", "pos": {"title": "R&amp;D", "text": "<p>x</p>"}, "neg": "<i>y</i>"}],
    )
    found = rows(Source(reader="jsonl", path=str(tmp_path / "t.jsonl"), clean="html"))
    assert list(found) == [Row("a", [Passage("x", "R&D")], [Passage("y")])]
