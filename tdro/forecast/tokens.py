"""Tokens of texts: as a model's own tokenizer counts them, or, without its file, by the bytes or words of a text."""

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tdro.forecast.sizes import Texts

#: Tokens of each of some texts, with what the tokenizer adds to each.
Count = Callable[[tuple[str, ...]], list[int]]
#: Of English prose by the tokenizers of BERT (1.25 to 1.4) and Llama (1.3); code and names have more.
A_WORD = 1.35
#: Bytes of UTF-8 a token, where no tokenizer is at hand: 4.4 of English prose, 3 of Chinese and of code.
BYTES = 4
#: What a tokenizer puts around a text: BERT two tokens, a decoder one.
AROUND = 2


@cache
def counter(folder: Path | None) -> Count | None:
    """Counts tokens as the tokenizer in a model's folder does; None where that has no ``tokenizer.json``."""
    file = folder / "tokenizer.json" if folder else None
    if file is None or not file.is_file():
        return None
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # The same texts are asked for by training, mining and evaluation.
    return cache(lambda texts: [len(one.ids) for one in tokenizer.encode_batch_fast(list(texts))])


def by_bytes(texts: tuple[str, ...]) -> list[int]:
    """Tokens of texts where no tokenizer is at hand."""
    return [-(-len(text.encode()) // BYTES) + AROUND for text in texts]


def mean_length(texts: Texts, count: Count, limit: int, prompt: int = 0) -> float:
    """Mean number of tokens that are read of a text.

    Of texts that nobody has seen only the mean m is known. Their lengths are taken to follow a gamma distribution of
    shape 2, which spreads as passages do (by 0.7 of the mean); cut at a limit l, its mean is ``m (1 - e) - l e`` with
    ``e = exp(-2 l / m)``.

    Args:
        texts: Texts.
        count: Counts tokens.
        limit: Longer texts are cut.
        prompt: Tokens that stand before each.
    """
    if texts.sample:
        return sum(min(limit, length + prompt) for length in count(texts.sample)) / len(texts.sample)
    mean, around = texts.words * A_WORD, prompt + AROUND
    if not mean:
        return min(limit, around)
    room = max(0, limit - around)
    beyond = math.exp(-2 * room / mean)
    return min(limit, around + mean * (1 - beyond) - room * beyond)
