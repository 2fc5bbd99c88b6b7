"""Markup: texts of HTML and Markdown as a reader of the page sees them, and how to tell that a text is one.

Data are often dumps of a page's source: `<p>How do I <b>undo</b> a commit?</p><pre><code>git log</code></pre>`. A
retriever that reads the tags spends its tokens on them.
"""

import html
import re
from functools import cache
from html.parser import HTMLParser
from typing import Literal


def _elements(names: str) -> frozenset[str]:
    return frozenset(names.split())


# Elements that begin a line of their own, and those that stand apart from their neighbours within a line.
_BLOCKS = _elements(
    "address article aside blockquote body center dd details dir div dl dt fieldset figcaption figure footer form h1 "
    "h2 h3 h4 h5 h6 header hr html legend li main menu nav ol optgroup option p pre section summary table tbody tfoot "
    "thead title tr ul"
)
_APART = _elements("audio button caption iframe img input label object select td textarea th video")
_WITHIN = _elements(
    "a abbr acronym b base bdi bdo big br cite code col colgroup data del dfn em embed font head i ins kbd link map "
    "mark meta meter noscript output picture progress q rp rt ruby s samp small source span strike strong sub sup tt "
    "time u var wbr"
)


def _tag(names: frozenset[str], flags: re.RegexFlag = re.IGNORECASE) -> re.Pattern:
    return re.compile(rf"</?(?:{'|'.join(sorted(names, key=len, reverse=True))})(?:\s[^<>]*)?/?>", flags)


# A tag of a known element: in `List<String>` and `a < b` there is none.
_TAG, _BLOCK = _tag(_BLOCKS | _APART | _WITHIN), _tag(_BLOCKS)
# What a page does not show, where it is closed; what stands in CDATA is markup itself.
_HIDDEN = re.compile(
    r"<(script|style|template|svg)\b[^<>]*>.*?</\1\s*>|<!--.*?-->|<!doctype\b[^<>]*>", re.IGNORECASE | re.DOTALL
)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
# A character by its name or number, all that a parser would take for one, and those that prose has.
_REFERENCE = r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});"
_ENTITY = re.compile(
    r"&(?:amp|lt|gt|quot|apos|nbsp|[lr][sd]quo|hellip|[mn]dash|#\d{1,7}|#x[0-9a-f]{1,6});", re.IGNORECASE
)
_LITERAL = re.compile(rf"(?P<tag>{_TAG.pattern})|(?P<less><)|&(?!{_REFERENCE[1:]})", re.IGNORECASE)

# Signs that are Markdown in prose and rarely stand in code: a link, a block of code in fences, a heading of two # or
# more, words in bold.
_MARKDOWN = re.compile(
    r"\[[^\[\]\n]+\]\((?:https?:|/|#|mailto:)[^()\s]*(?:\([^()\s]*\))?\)"
    r"|^ {0,3}(?:```|~~~)"
    r"|^ {0,3}#{2,6} \S"
    r"|(?<![\w*])\*\*(?=[^\s*])[^*\n]{0,200}[^\s*]\*\*(?![\w*])",
    re.MULTILINE,
)

_SPACES = re.compile(r"\s+")

#: What a text may look like.
Kind = Literal["html", "markdown"]


def kind_of(text: str) -> Kind | None:
    """What a text looks like; None for plain text.

    >>> kind_of("Use <b>git log</b>"), kind_of("## Undo"), kind_of("List<String> where a < b && b > c")
    ('html', 'markdown', None)
    """
    if _has_tags(text) or ("&" in text and _ENTITY.search(text)):
        return "html"
    return "markdown" if _MARKDOWN.search(text) else None


def of_html(text: str) -> str:
    r"""The text of HTML; one without any markup stays as it is.

    Blocks, list items, rows and `br` become lines, cells of a table stand apart, `pre` keeps its lines and indentation.
    Other white space is one space where there are blocks, as in a page; a text without, such as a comment with a word
    in bold, keeps its lines. Scripts, styles and comments go. What is no element of HTML stays: `List<String>`.

    >>> of_html("<p>Fish &amp; chips</p><ul><li>fish</li><li>chips</li></ul>")
    'Fish & chips\nfish\nchips'
    """
    if not _has_tags(text):
        return re.sub(_REFERENCE, lambda found: html.unescape(found[0]), text) if "&" in text else text
    shown = _HIDDEN.sub("", _CDATA.sub(r"\1", text))
    page = _Page(flows=_BLOCK.search(shown) is not None)
    page.feed(_LITERAL.sub(_literal, shown))
    page.close()
    return page.text()


def of_markdown(text: str) -> str:
    r"""The text of Markdown (CommonMark with tables), of HTML in it likewise.

    >>> of_markdown("## Undo\n\nUse **git** [revert](https://git-scm.com)")
    'Undo\nUse git revert'
    """
    return of_html(_markdown().render(text)) if text.strip() else text


def _has_tags(text: str) -> bool:
    return "<" in text and (_TAG.search(text) or _HIDDEN.search(text) or _CDATA.search(text)) is not None


def _literal(found: re.Match) -> str:
    """A tag as it is; a sign that begins none, or no reference, so that the parser takes it for itself."""
    return found["tag"] or ("&lt;" if found["less"] else "&amp;")


class _Page(HTMLParser):
    """Lines of a page.

    Args:
        flows: Whether white space of its text is one space, as between blocks.
    """

    def __init__(self, *, flows: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._flows, self._pre = flows, 0
        self._lines: list[str] = []
        self._line: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """What an element begins with: a line, a space, or nothing."""
        self._separate(tag)
        self._pre += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        """What it ends with."""
        self._separate(tag)
        self._pre = max(0, self._pre - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        if self._flows and not self._pre:
            self._line.append(_SPACES.sub(" ", data))
            return
        first, *others = data.split("\n")
        self._line.append(first)
        for line in others:
            self._end(keep=True)
            self._line.append(line)

    def text(self) -> str:
        """All lines, without what is empty at both ends; a block of code at the beginning keeps its indentation."""
        self._end()
        text = "\n".join(self._lines).strip("\n")
        return text if self._flows else text.strip()

    def _separate(self, tag: str) -> None:
        if tag in _BLOCKS or tag == "br":
            self._end()
        elif tag in _APART:
            self._line.append(" ")

    def _end(self, *, keep: bool = False) -> None:
        """Ends a line; an empty one is left out, unless it is to be kept."""
        line = "".join(self._line)
        line = _SPACES.sub(" ", line).strip() if self._flows and not self._pre else line.rstrip()
        self._line.clear()
        if line or (keep and self._lines):
            self._lines.append(line)


@cache
def _markdown():
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable(["table", "strikethrough"])
