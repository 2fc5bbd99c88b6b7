"""What a retriever is given to read, and how texts are stored, measured and cut."""

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b

import numpy as np
import pyarrow as pa

# Han, kana: scripts without spaces, where a character counts as a word.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")

# Control characters but tab and line feed; a carriage return becomes a line feed before.
_CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f]")
_BROKEN = re.compile("[\ud800-\udfff]")


def passage_texts(corpus: pa.Table) -> list[str]:
    """Text of every row of a corpus: title, a space, text (paper, settings)."""
    return [
        passage_text(title, text)
        for title, text in zip(corpus["title"].to_pylist(), corpus["text"].to_pylist(), strict=True)
    ]


def passage_text(title: str, text: str) -> str:
    """One passage as a retriever reads it."""
    return f"{title} {text}".strip()


def choose(number: int, *key: str | int) -> int:
    """One of the numbers below ``number``, decided by ``key``: the same in every process and every run."""
    digest = blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % number


def exact_key(text: str) -> bytes:
    """A 64-bit key of a string, letter by letter."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def key_array(keys: Iterable[bytes | bytearray]) -> np.ndarray:
    """Keys as uint64 of shape (n,)."""
    whole = bytearray()
    for key in keys:  # to join them would hold an object a key
        whole += key
    return np.frombuffer(whole, dtype=np.uint64)


def mended(text: str) -> str:
    r"""A text as it is stored: as it came, line breaks and indentation included.

    Line breaks of other systems become line feeds; control characters that are white space become spaces and others
    go; what UTF-8 cannot hold becomes U+FFFD.

    >>> mended("if x:\r\n\ty\0")
    'if x:\n\ty'
    """
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return encodable(_CONTROLS.sub(lambda match: " " if match[0].isspace() else "", text))


def encodable(text: str) -> str:
    """The text with U+FFFD in the place of what UTF-8 cannot hold: halves of surrogate pairs, which JSON allows."""
    return text if text.isascii() else _BROKEN.sub("\ufffd", text)


def count_words(text: str) -> int:
    """Number of words; a Chinese or Japanese character counts as one."""
    return len(text.split()) if text.isascii() else sum(1 for _ in _WORD.finditer(text))


def cut(text: str, words: int | None) -> str:
    """The first ``words`` words of a text, or all of it for null."""
    if words is None or len(text) <= words:
        return text
    for number, match in enumerate(_WORD.finditer(text), start=1):
        if number == words:
            return text[: match.end()]
    return text


def chunks(texts: Iterable[str], characters: int) -> Iterator[list[str]]:
    """Neighbouring texts of about so many characters together, a line feed behind each one counted."""
    chunk, size = [], 0
    for text in texts:
        chunk.append(text)
        size += len(text) + 1
        if size >= characters:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
