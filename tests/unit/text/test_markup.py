"""What is taken from HTML and Markdown, and what is taken for either."""

import doctest

import pytest

from tdro.text import markup
from tdro.text.markup import kind_of, of_html, of_markdown

QUESTION = (
    "<p>How do I <b>undo</b>\n a commit &amp; keep it?</p>\n"
    "<pre><code>def f(x):\n    return x &lt; 3\n\nf(2)\n</code></pre>"
    "<ul><li>reset</li><li>revert</li></ul><script>if (a < b) { p('<p>') }</script><!-- seen -->"
)


def test_the_examples_hold():
    assert doctest.testmod(markup).failed == 0


def test_what_a_page_shows_is_kept_apart_and_the_rest_goes():
    assert of_html(QUESTION) == (
        "How do I undo a commit & keep it?\ndef f(x):\n    return x < 3\n\nf(2)\nreset\nrevert"
    )
    assert of_html("<table><tr><th>a</th><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>") == "a b\nc d"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text\n  with lines, a < b && c > d", None),
        ("List<String> of <your-name>, AT&T, ?a=1&copy=2", None),
        ("List<String> & <i>x</i> </foo> ?a=1&copy=2 x<y", "List<String> & x </foo> ?a=1&copy=2 x<y"),
        ("first\nsecond <b>bold</b>\nthird<br>fourth", "first\nsecond bold\nthird\nfourth"),
        ("How does <script> work <b>here</b>?", "How does <script> work here?"),
        ("<p>not closed <b", "not closed <b"),
        ("&eacute;t&#233; &lt;p&gt;", "été <p>"),
        ("<div>&amp;lt; stays</div>", "&lt; stays"),
        ("<![CDATA[<p>x</p>]]>", "x"),
        ("<P CLASS='a'>Upper</P><BR/>case", "Upper\ncase"),
        ("", None),
    ],
)
def test_texts_with_and_without_markup(text, expected):
    assert of_html(text) == (text if expected is None else expected)


def test_a_second_time_changes_nothing_more():
    for text in (QUESTION, "first\nsecond <b>bold</b>", "<pre>\n  a\n b</pre>"):
        assert of_html(of_html(text)) == of_html(text)


def test_a_long_page_takes_no_longer_for_its_number_of_tags():
    text = "<b>word</b> " * 100_000
    assert of_html(text) == ("word " * 100_000).strip()


def test_markdown_and_the_html_in_it():
    page = "## Undo\n\nUse **git** [revert](https://git-scm.com)\n\n- a\n- b <b>c</b>\n\n"
    page += "```\nx = 1\n  y<3\n```\n\n|a|b|\n|-|-|\n|1|2|\n"
    assert of_markdown(page) == "Undo\nUse git revert\na\nb c\nx = 1\n  y<3\na b\n1 2"
    assert of_markdown("") == ""


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<p>x</p>", "html"),
        ("a<br/>b", "html"),
        ("it&#39;s", "html"),
        ("see [this](https://a.b/c_(d))", "markdown"),
        ("```python\nx\n```", "markdown"),
        ("so **very** good", "markdown"),
        ("## Heading", "markdown"),
        ("# a comment\ndef f(*args, **kwargs): return g(**kwargs) ** 2", None),
        ("a[0](1) + x[i](j)", None),
        ("std::vector<int> v; if (a<b) c>d", None),
        ("Tom & Jerry; R&D;", None),
    ],
)
def test_what_a_text_looks_like(text, kind):
    assert kind_of(text) == kind
