"""Texts that hold most of another text, whatever stands before, between and after.

A text is seen as its set of groups of neighbouring characters: eight, or four from a Chinese, Japanese or Korean
character on, of what the text says (:func:`tdro.text.relations.said`) without spaces. One text is *contained* in
another when the other has at least four of five of its groups. That finds what a hash of the whole text cannot: a
question inside a passage, clauses in another order, a sentence with a word changed.

The texts that are looked for are indexed, those that may hold them stream by. Memory grows with the former alone.
"""

import sys
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from tdro.artifacts.lists import ranges
from tdro.data.keys import KeyRows
from tdro.text.relations import said
from tdro.text.strings import chunks, exact_key, key_array

#: Share of a text's groups that the other must have.
SHARE = 0.8
#: Groups that a text must have to be found in a longer one; one with fewer is found only where it stands alone.
FEWEST = 5
#: Of a longer text so many groups, those of the smallest hashes, stand for all: an unbiased sample.
SAMPLE = 64

#: Characters that are looked through at a time.
CHUNK = 1 << 20

_WIDTH, _WIDE_WIDTH = 8, 4  # characters of a group
# Hangul, kana, Han.
_WIDE = ((0x1100, 0x11FF), (0x3040, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7FF), (0x20000, 0x3FFFF))

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_PAIRS = 1 << 16  # pairs of texts compared at a time


def letters(text: str) -> str:
    """What is compared of a text.

    >>> letters("Who wrote 'Emma'?")
    'whowroteemma'
    """
    return said(text).replace(" ", "")


class Contained:
    """Texts that are looked for in others.

    Example:
        >>> wanted = Contained()
        >>> wanted.add(["Where is the town of Ur?"])
        array([0], dtype=int32)
        >>> wanted.finish()
        >>> wanted.find(["He asked: where is the town of Ur, and went on."])
        (array([0]), array([0]), array([1.]))
    """

    def __init__(self) -> None:
        self._known = KeyRows()
        self._hashes: list[np.ndarray] = []
        self._sizes: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._known)

    def add(self, texts: Sequence[str]) -> np.ndarray:
        """Add texts; returns the number of each, int32. Texts of the same letters share one."""
        told = list(map(letters, texts))
        numbers, new = self._known.add(key_array(map(exact_key, told)))
        for chunk in chunks([told[place] for place in new], CHUNK):
            hashes, owners = groups(chunk)
            order = np.lexsort((hashes, owners))
            hashes, owners = hashes[order], owners[order]
            first = np.ones(len(hashes), dtype=bool)
            first[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
            hashes, owners = hashes[first], owners[first]
            kept = ranges(0, np.bincount(owners)) < SAMPLE
            self._hashes.append(hashes[kept])
            self._sizes.append(np.bincount(owners[kept], minlength=len(chunk)))
        return numbers

    def finish(self) -> None:
        """End adding: index, of each text, its rarest groups.

        A text that has four of five of the groups lacks one of five at most. So among any one of five and one more
        there is one that it has, and those that the fewest other texts share are enough to find it by.
        """
        self._groups = np.concatenate([np.empty(0, np.uint64), *self._hashes])
        sizes = np.concatenate([np.empty(0, np.int64), *self._sizes]).astype(np.int64)
        self._hashes, self._sizes = [], []
        self._sizes_of = sizes
        self._starts = np.concatenate([[0], np.cumsum(sizes)])
        owners = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        order = np.lexsort((_how_common(self._groups), owners))
        wanted = np.where(sizes < FEWEST, 0, sizes - np.ceil(SHARE * sizes).astype(np.int64) + 1)
        kept = order[ranges(0, sizes) < wanted[owners]]
        by_hash = kept[np.argsort(self._groups[kept], kind="stable")]
        self._keys, firsts = np.unique(self._groups[by_hash], return_index=True)
        self._key_starts = np.append(firsts, len(by_hash))
        self._holders = owners[by_hash]
        self._filter = _Filter(self._keys)

    def find(self, texts: Sequence[str], wanted: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which of the texts that were added are contained in these.

        Args:
            texts: about :data:`CHUNK` characters together, see :func:`tdro.text.strings.chunks`.
            wanted: bool for each number; the others are not looked for. None looks for all.

        Returns:
            Places in ``texts``, numbers and shares, sorted by place, then number.
        """
        told = list(map(letters, texts))
        hashes, owners = groups(told)
        found = [self._equal(told)]
        for pairs in self._candidates(hashes, owners):
            numbers = pairs & 0xFFFFFFFF
            pairs = pairs if wanted is None else pairs[wanted[numbers]]
            for start in range(0, len(pairs), _PAIRS):
                found.append(self._compared(pairs[start : start + _PAIRS], hashes, owners))
        pairs, shares = (np.concatenate(column) for column in zip(*found, strict=True))
        pairs, first = np.unique(pairs, return_index=True)
        places, numbers, shares = pairs >> 32, pairs & 0xFFFFFFFF, shares[first]
        kept = slice(None) if wanted is None else wanted[numbers]
        return places[kept], numbers[kept], shares[kept]

    def _equal(self, told: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of texts of the same letters, as ``place << 32 | number``, and their shares."""
        numbers = self._known.find(key_array(map(exact_key, told))).astype(np.int64)
        places = np.flatnonzero((numbers >= 0) & np.array([bool(text) for text in told], dtype=bool))
        return places << 32 | numbers[places], np.ones(len(places))

    def _candidates(self, hashes: np.ndarray, owners: np.ndarray) -> Iterator[np.ndarray]:
        """Pairs of texts that share a rare group, each pair once a piece."""
        maybe = np.flatnonzero(self._filter.may_hold(hashes))
        at = np.searchsorted(self._keys, hashes[maybe])
        held = self._keys[np.minimum(at, len(self._keys) - 1)] == hashes[maybe] if len(self._keys) else at > 0
        at, owners = at[held], owners[maybe[held]].astype(np.int64)
        lengths = self._key_starts[at + 1] - self._key_starts[at]
        pieces = np.flatnonzero(np.diff(np.cumsum(lengths) // (16 * _PAIRS))) + 1
        for piece in np.split(np.arange(len(at)), pieces):
            size = lengths[piece]
            places = ranges(self._key_starts[at[piece]], size)
            yield np.unique(np.repeat(owners[piece], size) << 32 | self._holders[places])

    def _compared(self, pairs: np.ndarray, hashes: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those of the pairs that are contained, and their shares."""
        places, numbers = pairs >> 32, pairs & 0xFFFFFFFF
        sizes = self._sizes_of[numbers]
        ends = np.cumsum(sizes)
        flat = ranges(self._starts[numbers], sizes)
        needed, ids = np.unique(self._groups[flat], return_inverse=True)
        held = np.sort(_codes(hashes, owners, places, needed))
        codes = np.repeat(places, sizes) * len(needed) + ids
        matched = np.zeros(len(codes) + 1, dtype=np.int64)
        if len(held):
            matched[1:] = held[np.minimum(np.searchsorted(held, codes), len(held) - 1)] == codes
        total = np.cumsum(matched)
        counts = total[ends] - total[ends - sizes]
        kept = counts >= SHARE * sizes
        return pairs[kept], counts[kept] / sizes[kept]


def _codes(hashes: np.ndarray, owners: np.ndarray, places: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """The groups of the texts at ``places`` that are among ``needed`` (sorted), as ``place * len(needed) + rank``."""
    own = np.zeros(int(owners[-1]) + 1, dtype=bool)
    own[places] = True
    maybe = own[owners] & _Filter(needed).may_hold(hashes)
    hashes, owners = hashes[maybe], owners[maybe].astype(np.int64)
    at = np.minimum(np.searchsorted(needed, hashes), len(needed) - 1)
    known = needed[at] == hashes
    return owners[known] * len(needed) + at[known]


def groups(told: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hash of every group of the texts, in their order, and the place of its text; uint64 and int32."""
    joined = "".join(told)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.fromiter(map(len, told), dtype=np.int64, count=len(told))
    owners = np.repeat(np.arange(len(told), dtype=np.int32), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(codes))
    wide = _wide()[codes]
    padded = np.concatenate([codes, np.zeros(_WIDTH, dtype=np.uint32)]).astype(np.uint64)
    hashes, narrow = np.zeros(len(codes), dtype=np.uint64), np.zeros(0, dtype=np.uint64)
    for place in range(_WIDTH):
        hashes = hashes * _FACTOR + padded[place : place + len(codes)]
        if place == _WIDE_WIDTH - 1:
            narrow = ~hashes
    whole = left >= np.where(wide, _WIDE_WIDTH, _WIDTH)
    return _mixed(np.where(wide, narrow, hashes)[whole]), owners[whole]


class _Filter:
    """Whether a hash may be one of the keys: a bit a hash, and no search for most of those that are none."""

    def __init__(self, keys: np.ndarray) -> None:
        bits = max(16, (16 * len(keys)).bit_length())
        self._mask = np.uint64((1 << bits) - 1)
        self._bits = np.zeros(1 << (bits - 3), dtype=np.uint8)
        low = keys & self._mask
        np.bitwise_or.at(self._bits, (low >> np.uint64(3)).astype(np.int64), _BIT[(low & np.uint64(7)).astype(np.int8)])

    def may_hold(self, hashes: np.ndarray) -> np.ndarray:
        """A bool for each hash; true for all keys."""
        low = hashes & self._mask
        return self._bits[(low >> np.uint64(3)).astype(np.int64)] & _BIT[(low & np.uint64(7)).astype(np.int8)] != 0


_BIT = np.left_shift(1, np.arange(8)).astype(np.uint8)


@cache
def _wide() -> np.ndarray:
    """Whether four characters from this one on are a group, by code point."""
    table = np.zeros(sys.maxunicode + 1, dtype=bool)
    for first, last in _WIDE:
        table[first : last + 1] = True
    return table


def _mixed(hashes: np.ndarray) -> np.ndarray:
    """The hashes with every bit dependent on all others (the end of MurmurHash3)."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(factor)
    return hashes ^ (hashes >> np.uint64(33))


def _how_common(hashes: np.ndarray) -> np.ndarray:
    """How many of the hashes fall where each one falls: its number, or more where two share a place."""
    counts = np.zeros(1 << max(10, min(26, len(hashes).bit_length())), dtype=np.int32)
    places = (hashes & np.uint64(len(counts) - 1)).astype(np.int64)
    for start in range(0, len(places), CHUNK):
        np.add.at(counts, places[start : start + CHUNK], 1)
    return counts[places]
