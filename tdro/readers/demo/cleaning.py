"""Text out of markup: what several readers share."""

import html
import re
from html.parser import HTMLParser

_MARKDOWN_LINK = re.compile(r"\[([^\]]+)\]\([^)]*(?:\)|$)")
_CITATION = re.compile(r"\(Citation:[^)]*(?:\)|$)")
_TAG = re.compile(r"</?[A-Za-z][^>]*>")
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd\d]")
_INLINE = {"a", "abbr", "b", "code", "em", "i", "small", "span", "strong", "sub", "sup", "u"}


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in _INLINE:
            self.parts.append(" ")

    def handle_endtag(self, tag):
        self.handle_starttag(tag, None)

    def handle_data(self, data):
        self.parts.append(data)


def strip_html(text: str) -> str:
    """The text of an HTML fragment; the borders of blocks become spaces.

    >>> strip_html("<p>A <b>bold</b> step.</p><p>R&amp;D</p>")
    'A bold step. R&D'
    """
    parser = _Text()
    parser.feed(text)
    parser.close()
    return tidy("".join(parser.parts))


def strip_references(text: str) -> str:
    """Text without ``(Citation: ...)``, HTML tags and the targets of markdown links.

    A citation or link that the end of the text cuts off goes as well.

    >>> strip_references("[X](https://x.org/a) ran <code>cmd</code>.(Citation: Y 2020)")
    'X ran cmd.'
    """
    text = _MARKDOWN_LINK.sub(r"\1", _CITATION.sub("", text))
    return tidy(html.unescape(_TAG.sub("", text)))


def strip_ellipsis(text: str) -> str:
    """Text cut by its source with ``...``: without the dots and the word that they cut.

    >>> strip_ellipsis("difficult to discover or decip...")
    'difficult to discover or'
    """
    if not text.endswith("..."):
        return text
    return text.removesuffix("...").rpartition(" ")[0]


def blank_placeholders(text: str) -> str:
    """A message with ``…`` where its program would put a value.

    Placeholders are equal in every language, so they would give a translation away.

    >>> blank_placeholders("Ensure that %(name)s has %d rows, not %1")
    'Ensure that … has … rows, not …'
    """
    return tidy(_PLACEHOLDER.sub("…", html.unescape(text)))


def split_camel_case(name: str) -> str:
    """Words of an identifier.

    >>> split_camel_case("PutS3BucketACL")
    'Put S3 Bucket ACL'
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)


def tidy(text: str) -> str:
    """Text with single spaces."""
    return " ".join(text.split())
