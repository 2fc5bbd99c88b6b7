"""What is said of texts that look like markup, and when nothing is."""

import pytest

from tdro.config.registry import Source
from tdro.readers.base import BadRow, Passage, Row
from tdro.readers.markupseen import MarkupSeen

HTML = "<p>How do I undo a commit that I have pushed to the branch of a colleague?</p>"


def told(items, caplog, clean=None):
    seen = MarkupSeen("task faq", Source(reader="jsonl", path="x", clean=clean))
    assert list(seen.through(items)) == items
    return caplog.text


def rows(marked, plain):
    return [Row(HTML, [Passage("fine")])] * marked + [Row("plain", [Passage("fine")])] * plain


def test_many_texts_of_html_are_told_with_an_example(caplog):
    text = told([*rows(6, 4), BadRow("x", "y")], caplog)
    assert "task faq: 30% of the first 20 texts look like HTML, such as '<p>How do I undo a commit" in text
    assert "that I have pushed to the branch o...'; `clean: html` of the source" in text


def test_a_corpus_of_markdown_is_told(caplog):
    assert "look like Markdown, such as '## x'; `clean: markdown`" in told([Passage("## x")] * 4, caplog)


@pytest.mark.parametrize("clean", ["none", "html", "markdown"])
def test_nothing_is_said_where_somebody_has_spoken(caplog, clean):
    assert not told(rows(6, 4), caplog, clean)


def test_nothing_is_said_of_a_few(caplog):
    assert not told([*rows(2, 0)], caplog)
    assert not told(rows(9, 100), caplog)
