"""Positives that repeat their query: ``"What is a prime?"`` for ``"what is a prime"``.

A retriever scores such a pair rightly before it has learnt anything, so it teaches nothing; and its reference loss
is near 0, by which the weights of a task are divided. Two kinds are told apart: the positive *says the same*
(:mod:`tdro.text.relations`), or it *nearly* does: the lengths differ by a fifth at most, and of all groups of three
characters that the one or the other has, four of five are in both.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tdro.artifacts.lists import Lists
from tdro.data.spool import Spool
from tdro.text.relations import said
from tdro.text.strings import exact_key, key_array

#: Share of the groups of characters, and of the length, from which on two texts are nearly the same.
NEAR = 0.8

_GROUP = 3  # characters
_BLOCK = 1 << 24  # characters of queries that are held at a time


class Said(NamedTuple):
    """What a collection's texts say, an entry a row: keys (uint64) and lengths (int32); 0 for texts left out."""

    keys: np.ndarray
    lengths: np.ndarray


def read_said(spool: Spool, columns: tuple[str, ...], rows: np.ndarray, total: int) -> Said:
    """Keys and lengths of the texts of some rows, which rise; several columns are read as one text."""
    keys, lengths = np.zeros(total, dtype=np.uint64), np.zeros(total, dtype=np.int32)
    for piece, batch in spool.select(rows):
        parts = zip(*(batch[column].to_pylist() for column in columns), strict=True)
        texts = [said(" ".join(texts)) for texts in parts]
        keys[piece], lengths[piece] = key_array(map(exact_key, texts)), [len(text) for text in texts]
    return Said(keys, lengths)


def find_echoes(positives: Lists, queries: Spool, passages: Spool, asked: Said, told: Said) -> np.ndarray:
    """For each positive: 0, 1 when it nearly says the same as its query, 2 when it says the same; int8.

    Args:
        positives: rows of the passages, for each query.
        queries: texts of the queries, in the column ``query``.
        passages: texts of the passages, in the column ``text``.
        asked: what the queries say.
        told: what the passages' texts say, without titles.
    """
    owners, found = positives.owners(), np.zeros(len(positives.values), dtype=np.int8)
    found[told.keys[positives.values] == asked.keys[owners]] = 2
    own, other = asked.lengths[owners], told.lengths[positives.values]
    alike = np.minimum(own, other) >= NEAR * np.maximum(own, other)
    pairs = np.flatnonzero((found == 0) & alike)
    for block in _blocks(pairs, own[pairs]):
        near = _near(owners[block], positives.values[block], queries, passages)
        found[block[near]] = 1
    return found


def nearly(one: str, other: str) -> bool:
    """Whether two texts, as :func:`tdro.text.relations.said` has them, nearly say the same.

    >>> nearly("how tall is the eiffel tower in the city of paris", "how tall is the eiffel tower of the city of paris")
    True
    """
    if min(len(one), len(other)) < NEAR * max(len(one), len(other)):
        return False
    groups, others = _groups(one), _groups(other)
    return len(groups & others) >= NEAR * len(groups | others) > 0


def _groups(text: str) -> set[str]:
    return {text[i : i + _GROUP] for i in range(len(text) - _GROUP + 1)}


def _blocks(pairs: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Neighbouring pairs whose queries are so long together."""
    if len(pairs):
        yield from np.split(pairs, np.flatnonzero(np.diff(np.cumsum(lengths, dtype=np.int64) // _BLOCK)) + 1)


def _near(owners: np.ndarray, members: np.ndarray, queries: Spool, passages: Spool) -> np.ndarray:
    """Places of the pairs of a query's row and a passage's whose texts nearly say the same."""
    asked: dict[int, str] = {}
    for rows, batch in queries.select(np.unique(owners)):
        asked.update(zip(rows.tolist(), map(said, batch["query"].to_pylist()), strict=True))
    order = np.argsort(members, kind="stable")
    near = []
    for rows, batch in passages.select(np.unique(members)):
        texts = dict(zip(rows.tolist(), map(said, batch["text"].to_pylist()), strict=True))
        first, end = np.searchsorted(members[order], [rows[0], rows[-1] + 1])
        near += [p for p in order[first:end].tolist() if nearly(asked[int(owners[p])], texts[int(members[p])])]
    return np.array(near, dtype=np.int64)
