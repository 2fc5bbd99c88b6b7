"""What a retriever is given to read, how texts are measured, and when two of them are one."""

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
import pyarrow as pa

# Han, kana: scripts without spaces, where a character counts as a word.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")

# Sentence marks and quotes: they do not make two texts different.
_MARKS = str.maketrans(dict.fromkeys(".,;:!?'\"`\u2018\u2019\u201c\u201d\u2026\u3002\uff0c\uff01\uff1f", " "))


def passage_texts(corpus: pa.Table) -> list[str]:
    """Text of every row of a corpus: title, a space, text (paper, settings)."""
    return [
        passage_text(title, text)
        for title, text in zip(corpus["title"].to_pylist(), corpus["text"].to_pylist(), strict=True)
    ]


def passage_text(title: str, text: str) -> str:
    """One passage as a retriever reads it."""
    return f"{title} {text}".strip()


def query_prompt(instruction: str) -> str:
    """What stands before a query (and before a passage of a symmetric task), in E5's style."""
    return f"Instruct: {instruction}\nQuery: "


def choose(wordings: Sequence[str], *key: str | int) -> str:
    """One of several wordings of an instruction, decided by ``key``: the same in every process and every run."""
    digest = blake2b(repr(key).encode(), digest_size=8).digest()
    return wordings[int.from_bytes(digest, "big") % len(wordings)]


def identity(text: str) -> str:
    """What two texts share that say the same: letters, digits and symbols of code, not case, quotes or spaces.

    A text of nothing but sentence marks is its own.
    """
    return " ".join(text.casefold().translate(_MARKS).split()) or text


def text_key(text: str) -> bytes:
    """A 64-bit key of a text, equal for texts with one :func:`identity`."""
    # A digest of 8 bytes instead of the text keeps millions of texts small. Two texts collide in
    # about 1 of 1.5 million corpora of five million passages; they would count as one text.
    return exact_key(identity(text))


def exact_key(text: str) -> bytes:
    """A 64-bit key of a string, letter by letter."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def key_array(keys: Iterable[bytes]) -> np.ndarray:
    """Keys as uint64 of shape (n,)."""
    return np.frombuffer(b"".join(keys), dtype=np.uint64)


def text_keys(texts: Iterable[str]) -> np.ndarray:
    """The :func:`text_key` of each text, uint64 of shape (n,)."""
    return key_array(map(text_key, texts))


def normalise(text: str) -> str:
    """Text with single spaces, and question marks for code points that UTF-8 cannot hold."""
    return " ".join((text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")).split())


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
