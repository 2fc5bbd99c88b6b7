"""Whether a passage contains an answer, as DPR's and MKQA's evaluations decide.

Both are decomposed (Unicode NFD), lower-cased and cut into tokens: runs of letters, digits and marks, or single
symbols; the answer's tokens must stand in the passage one after the other (Chen et al., 2017; Karpukhin et al., 2020).
In scripts without spaces between words a run would be a whole clause, so each character there, with its marks, is a
token of its own, as MKQA's evaluation segments Chinese, Japanese, Thai and Khmer.
"""

import unicodedata
from collections.abc import Sequence

import regex

_SCRIPTS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
#: A character of a script without spaces.
SPACELESS = regex.compile(rf"[{_SCRIPTS}--\p{{M}}]", flags=regex.V1)

# One token: a character of a script without spaces and its marks; a run of other letters, digits and marks; a symbol.
_TOKEN = regex.compile(
    rf"[{_SCRIPTS}--\p{{M}}]\p{{M}}*|[[\p{{L}}\p{{N}}\p{{M}}]--[{_SCRIPTS}--\p{{M}}]]+|[^\p{{Z}}\p{{C}}]",
    flags=regex.V1,
)


def tokens(text: str) -> list[str]:
    """The tokens that are compared.

    Example:
        >>> tokens("São Paulo (1.5)")
        ['são', 'paulo', '(', '1', '.', '5', ')']
        >>> tokens("東京 2020")
        ['東', '京', '2020']
    """
    return _TOKEN.findall(unicodedata.normalize("NFD", text).lower())


def contains(passage: Sequence[str], answer: Sequence[str]) -> bool:
    """Whether the answer's tokens stand in the passage's one after the other; an answer without tokens never does."""
    if not answer:
        return False
    length = len(answer)
    starts = (i for i, token in enumerate(passage[: len(passage) - length + 1]) if token == answer[0])
    return any(passage[i : i + length] == answer for i in starts)


def has_answer(passage: str, answers: Sequence[str]) -> bool:
    """Whether a passage contains any of the answers."""
    read = tokens(passage)
    return any(contains(read, tokens(answer)) for answer in answers)
