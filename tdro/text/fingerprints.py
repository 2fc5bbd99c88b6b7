"""64-bit SimHashes of texts as the package ``simhash`` computes them, and much faster in bulk.

Charikar (2002), Similarity estimation techniques from rounding algorithms. The package hashes every 4-gram of a text
in Python; here the distinct 4-grams of many texts are hashed once and all sums are taken at a time.

Three things differ from the released script, which removes what is no near-duplicate and misses some that are:

- texts are compared as :func:`tdro.text.relations.written` has them, composed and in the usual width;
- what the package skips though it tells words apart is read: the marks that are vowels in Devanagari, Thai, Bengali
  and others, symbols (``+``, ``=``, arrows, currencies, emoji) and ``# % & @``: "c++" and "c#" are no duplicates;
- a text with nothing to read, ``?!``, equals only texts of the same characters. The package gives all such texts one
  hash.
"""

import logging
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, lru_cache
from hashlib import md5
from itertools import chain, islice
from multiprocessing import get_context
from unicodedata import category

import numpy as np
import pyarrow as pa

from tdro.artifacts.lists import ranges
from tdro.text.relations import written, written_key
from tdro.text.strings import chunks

#: Characters hashed at a time; bounds the working memory of a process at about 300 MB (a longer text takes more).
CHUNK = 1 << 21

#: Chunks from which other processes are worth their start (a chunk takes about as long).
PARALLEL_FROM = 3

_WIDTH = 4  # characters a shingle
_BITS = 64

# The characters of GB 13000.1, which decide in the released script whether a text is segmented.
_CHINESE = re.compile("[\u4e00-\u9fa5]")
# The package's own idea of a word character.
_WORD = re.compile(r"[\w\u4e00-\u9fcc]")
# What is read beside them: marks and symbols by category (but not those that stand for accents and quotes), and signs.
_READ = ("Mn", "Mc", "Me", "Sm", "Sc", "So")
_SIGNS = "#%&@"


def fingerprints(texts: Iterable[str], threads: int = 1) -> np.ndarray:
    """SimHash of each text, uint64 of shape (n,).

    4-grams of the lower-cased word characters, each hashed with MD5. Of a text whose normal form holds none of the
    characters that only we read it is bit for bit ``simhash.Simhash(normalise(text)).value``. A text without any
    character to read has a hash of its own. A text that repeats a 4-gram more than 255 times has the hash so
    defined; the package cannot compute it with NumPy 2 (OverflowError).

    Args:
        texts: Read once, a few chunks ahead.
        threads: Processes to share the work of large inputs.
    """
    pieces = chunks(texts, CHUNK)
    first = list(islice(pieces, PARALLEL_FROM))
    pieces = chain(first, pieces)
    parallel = threads > 1 and len(first) == PARALLEL_FROM
    parts = list(_in_processes(pieces, threads) if parallel else map(_hash_chunk, pieces))
    return np.concatenate([np.empty(0, dtype=np.uint64), *parts])


def normalise(text: str) -> str:
    """``text`` as written, without underscores, and in segmented words when it holds a Chinese character.

    But for the Unicode form it is what the released script gives to the package.
    """
    text = written(text).replace("_", "")
    if _CHINESE.search(text):
        import jieba

        jieba.setLogLevel(logging.WARNING)
        text = " ".join(jieba.lcut(text))
    return text


def _lowered(text: str) -> str:
    """Lower case of ``normalise(text)``, but for spaces, which the hash does not see.

    Segmentation only adds spaces. They can make a difference where the lower case of a character depends
    on its neighbours, which is true of the capital sigma alone.
    """
    text = written(text)
    return (normalise(text) if "\u03a3" in text else text.replace("_", "")).lower()


def _in_processes(chunks: Iterable[list[str]], processes: int) -> Iterator[np.ndarray]:
    """Hashes of the chunks in their order; no more than two chunks a process are under way.

    The processes start afresh: a copy of one in which other libraries run threads may hang.
    """
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = deque()
        for chunk in chunks:
            waiting.append(pool.submit(_hash_chunk, chunk))
            if len(waiting) > 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _hash_chunk(texts: list[str]) -> np.ndarray:
    """SimHash of each text, uint64 of shape (n,); n at least 1."""
    shingles, counts, empty = _shingles(texts)
    encoded = shingles.dictionary_encode()
    bits = _shingle_bits(encoded.dictionary)
    hashes = _majorities(bits, encoded.indices.to_numpy(), counts)
    for place in empty:
        hashes[place] = int.from_bytes(written_key(texts[place]), "big")
    return hashes


def _shingles(texts: list[str]) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """The 4-grams of all texts as UTF-32, their number a text, which is 1 at least, and the places of empty texts.

    A text shorter than a shingle is one itself, filled up with zeros.
    """
    lowered = [_lowered(text) for text in texts]
    codes = np.frombuffer("".join(lowered).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    is_word = _word_characters()[codes]
    ends = np.cumsum(np.fromiter(map(len, lowered), dtype=np.int64, count=len(lowered)))
    lengths = np.diff(np.concatenate([[0], np.cumsum(is_word)])[ends], prepend=0)
    padded = np.maximum(lengths, _WIDTH)
    ends = np.cumsum(padded)
    characters = np.zeros(ends[-1], dtype=np.uint32)
    shift = ends - padded - (np.cumsum(lengths) - lengths)
    characters[np.arange(lengths.sum()) + np.repeat(shift, lengths)] = codes[is_word]
    starts = np.ones(len(characters), dtype=bool)
    for back in range(1, _WIDTH):
        starts[ends - back] = False
    windows = np.lib.stride_tricks.sliding_window_view(characters, _WIDTH)[starts[: 1 - _WIDTH]]
    buffer = pa.py_buffer(np.ascontiguousarray(windows))
    shingles = pa.Array.from_buffers(pa.binary(4 * _WIDTH), len(windows), [None, buffer])
    return shingles, padded - _WIDTH + 1, np.flatnonzero(lengths == 0)


@cache
def _word_characters() -> np.ndarray:
    """Whether a code point is read, by code point; underscores are removed before."""
    everything = np.arange(sys.maxunicode + 1, dtype=np.uint32).tobytes().decode("utf-32-le", "surrogatepass")
    table = np.zeros(len(everything), dtype=bool)
    table[[match.start() for match in _WORD.finditer(everything)]] = True
    table[[place for place, character in enumerate(everything) if category(character) in _READ]] = True
    table[list(map(ord, _SIGNS))] = True
    table[ord("_")] = False
    return table


def _shingle_bits(shingles: pa.Array) -> np.ndarray:
    """The 64 bits of each shingle's hash as a byte each, eight of them in a uint64; shape (n, 8)."""
    text = shingles.buffers()[1][: 4 * _WIDTH * len(shingles)].to_pybytes().decode("utf-32-le")
    digests = b"".join([_digest(text[i : i + _WIDTH]) for i in range(0, len(text), _WIDTH)])
    return np.unpackbits(np.frombuffer(digests, dtype=np.uint8)).view(np.uint64).reshape(-1, 8)


@lru_cache(maxsize=1 << 19)
def _digest(shingle: str) -> bytes:
    return md5(shingle.rstrip("\0").encode()).digest()[8:]


def _majorities(bits: np.ndarray, indices: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Bits set in more than half of each text's shingles, as uint64 of shape (texts,).

    Eight bytes are added as one uint64. None overflows, because no more than 255 shingles are summed
    so; a longer text is summed in several such pieces.
    """
    pieces = -(-counts // 255)
    first_piece = np.cumsum(pieces) - pieces
    starts = np.repeat(np.cumsum(counts) - counts, pieces) + 255 * ranges(0, pieces)
    sums = np.add.reduceat(bits[indices], starts, axis=0).view(np.uint8)
    if len(sums) > len(counts):
        sums = np.add.reduceat(sums, first_piece, axis=0, dtype=np.int64)
    majority = sums > (counts // 2)[:, None]
    return np.packbits(majority, axis=1).view(">u8").astype(np.uint64).reshape(-1)
