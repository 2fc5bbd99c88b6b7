"""What a retriever is given to read. Training and evaluation both take their texts from here."""

import re
from collections.abc import Sequence
from hashlib import blake2b

import pyarrow as pa


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
    words = re.sub(r"[\s.,;:!?'\"`\u2018\u2019\u201c\u201d\u2026\u3002\uff0c\uff01\uff1f]+", " ", text.casefold())
    return " ".join(words.split()) or text
