"""When two texts are one. Two relations, and every comparison of texts in the package is one of them.

*The same text*: "café" with a composed é and with an e and an accent, "a  b" and "a b". They differ in Unicode form,
invisible characters or the amount of white space, and in nothing else. Such texts are stored once. ``1.5`` and
``15``, ``x = 'y'`` and ``x = y``, "Rust" and "rust" are different texts.

*Says the same*: ``"Who's there?"`` and ``"who's there"``. Case and sentence marks do not count either. A passage that
says the same as a query or as one of its positives is never a negative of that query, for it would be
punished for being right; and a positive that says the same as its query teaches nothing.

Texts that are the same say the same.
"""

import re
import sys
from collections.abc import Iterable
from functools import cache
from unicodedata import decomposition, is_normalized, normalize

import numpy as np

from tdro.text.strings import exact_key, key_array

# Compatibility forms that are another way to write the same: full and half width, ligatures, Arabic forms,
# spaces, letters of a font. Not among them are <super>, <sub>, <fraction>, <circle> and <square>, for 10² is not 102.
_FORMS = ("<wide>", "<narrow>", "<compat>", "<font>", "<noBreak>", "<vertical>", "<small>")
_ARABIC_FORMS = ("<initial>", "<medial>", "<final>", "<isolated>")

# Characters without a glyph: control characters that are no white space, soft hyphens, joiners, fillers, marks of
# direction, variation selectors (Unicode's Default_Ignorable_Code_Point, but for the tags that tell flags apart).
_INVISIBLE = (
    "\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e001f\U000e0080-\U000e0fff"
)
_INVISIBLES = re.compile(f"[{_INVISIBLE}]")

# Sentence marks and quotes, also of other scripts. No brackets, dashes, signs of mathematics or of currencies.
_MARKS = str.maketrans(
    dict.fromkeys(
        ".,;:!?'\"`\u00a1\u00bf\u00ab\u00bb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u2026\u2014\u2015"
        "\u037e\u0387\u0589\u060c\u061b\u061f\u066b\u066c\u06d4\u0964\u0965\u104a\u104b\u1362\u1363\u1364\u1367\u1368\u17d4\u17d5"
        "\u3001\u3002\u300c\u300d\u300e\u300f\u300a\u300b\u30fb\uff01\uff0c\uff0e\uff1a\uff1b\uff1f\uff61\uff62\uff63\uff64",
        " ",
    )
)


def written(text: str) -> str:
    r"""What *the same text* compares: composed Unicode, nothing invisible, single spaces.

    >>> written("e\u0301te\u0301\u00a0\uff11\n")
    'été 1'
    """
    return " ".join(_composed(text).split())


def said(text: str) -> str:
    """What *says the same* compares: the text as written, without case and sentence marks.

    A text of nothing but sentence marks is its own.

    >>> said("Who wrote “Emma”?")
    'who wrote emma'
    """
    folded = _composed(text).casefold()
    if not folded.isascii():  # folding a letter may leave a mark beside it that composes
        folded = _composed(folded)
    return " ".join(folded.translate(_MARKS).split()) or written(text)


def written_key(text: str) -> bytes:
    """A 64-bit key of a text, equal for texts that are the same."""
    # A digest of 8 bytes instead of the text keeps millions of texts small. Two texts collide in
    # about 1 of 1.5 million corpora of five million passages; they would count as one text.
    return exact_key(written(text))


def said_key(text: str) -> bytes:
    """A 64-bit key of a text, equal for texts that say the same."""
    return exact_key(said(text))


def said_keys(texts: Iterable[str]) -> np.ndarray:
    """The :func:`said_key` of each text, uint64 of shape (n,)."""
    return key_array(map(said_key, texts))


def _composed(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    if is_normalized("NFKC", text) and not _INVISIBLES.search(text):
        return text
    return normalize("NFC", normalize("NFD", text).translate(_table()))


@cache
def _table() -> dict[int, str]:
    """What to put in the place of a character of a decomposed text."""
    kept = {}
    for code in range(0x80, sys.maxunicode + 1):
        form = decomposition(chr(code)).partition(" ")[0]
        if form in _FORMS or form in _ARABIC_FORMS:
            kept[code] = _INVISIBLES.sub("", normalize("NFKD", chr(code)))
    for code in map(ord, _INVISIBLES.findall("".join(map(chr, range(sys.maxunicode + 1))))):
        kept[code] = ""
    return kept
