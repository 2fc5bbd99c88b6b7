"""Hashes of 64 bits that nearly equal each other, by Hamming distance.

Manku, Jain, Das Sarma (2007), Detecting near-duplicates for web crawling.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import polars as pl

from tdro.artifacts.lists import ranges

BITS = 64

#: Pairs compared at a time; bounds the working memory of a join at about 150 MB.
CHUNK = 1 << 21


def near_duplicates(left: np.ndarray, right: np.ndarray, distance: int) -> pl.DataFrame:
    """All pairs of hashes at most ``distance`` bits apart. Exact.

    The 64 bits are cut into ``distance + 1`` blocks. Two hashes that differ in no more than
    ``distance`` bits agree in a whole block (pigeonhole), so only hashes that share a block are
    compared. Each block is one sorted join over the distinct hashes, in chunks of bounded size.

    Args:
        left: uint64 of shape (n,).
        right: uint64 of shape (m,).
        distance: Largest Hamming distance, 0 to 63.

    Returns:
        Columns ``left`` and ``right`` (positions in the arguments, uint32) and ``distance`` (int8),
        sorted by left, distance, right.
    """
    left_values, left_of = np.unique(left, return_inverse=True)
    right_values, right_of = np.unique(right, return_inverse=True)
    blocks = _blocks(distance + 1)
    found = [_pairs(left_values, right_values, blocks, i, distance) for i in range(len(blocks))]
    pairs = pl.concat([pl.DataFrame(schema=_VALUES), *(frame for part in found for frame in part)])
    return (
        pairs.join(_positions(left_of, "left"), on="left_value")
        .join(_positions(right_of, "right"), on="right_value")
        .select("left", "right", "distance")
        .sort("left", "distance", "right")
    )


def closest(left: np.ndarray, right: np.ndarray, distance: int) -> pl.DataFrame:
    """The nearest of ``right`` within ``distance`` for each of ``left`` that has one.

    Args and columns as in :func:`near_duplicates`; of several at the same distance the first counts.
    Equal hashes are collapsed before they are joined, so that a text that occurs often on both sides
    costs no more than one that occurs once.
    """
    left_values, left_of = np.unique(left, return_inverse=True)
    right_values, right_first = np.unique(right, return_index=True)
    pairs = near_duplicates(left_values, right_values, distance)
    return (
        pairs.with_columns(right=pl.Series(right_first, dtype=pl.UInt32).gather(pairs["right"]))
        .rename({"left": "left_value"})
        .sort("left_value", "distance", "right")
        .unique("left_value", keep="first", maintain_order=True)
        .join(_positions(left_of, "left"), on="left_value")
        .select("left", "right", "distance")
        .sort("left")
    )


def repeats(hashes: np.ndarray, distance: int) -> pl.DataFrame:
    """Positions that nearly equal an earlier one which is kept.

    Greedy in the order of the positions: one goes when an earlier one that was kept is at most
    ``distance`` bits apart. Hence no two that are kept are so near, and each that goes is near one that
    is kept. Chains do not add up: a near b and b near c removes b alone, unless a is near c, too.

    Args:
        hashes: uint64 of shape (n,).
        distance: Largest Hamming distance, 0 to 63.

    Returns:
        Columns as in :func:`near_duplicates`, a row for each ``left`` that goes, sorted by it. ``right``
        is the nearest kept position before the first of equal hash, the first of several.
    """
    _, first, value_of = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    distinct = hashes[first[order]]
    pairs = near_duplicates(distinct, distinct, distance).filter(pl.col("right") < pl.col("left"))
    target, bits = np.arange(len(distinct), dtype=np.uint32), np.zeros(len(distinct), dtype=np.int8)
    for left, right, apart in pairs.iter_rows():
        if target[right] == right and target[left] == left:
            target[left], bits[left] = right, apart
    value = rank[value_of]
    found = pl.DataFrame(
        {
            "left": np.arange(len(hashes), dtype=np.uint32),
            "right": first[order][target[value]].astype(np.uint32),
            "distance": bits[value],
        }
    )
    return found.filter(pl.col("left") != pl.col("right"))


_VALUES = pl.Schema({"left_value": pl.UInt32, "right_value": pl.UInt32, "distance": pl.Int8})


def _blocks(count: int) -> list[np.uint64]:
    """Masks of ``count`` neighbouring blocks of as equal a size as possible."""
    edges = [BITS * i // count for i in range(count + 1)]
    return [np.uint64((1 << end) - (1 << start)) for start, end in pairwise(edges)]


def _pairs(
    left: np.ndarray, right: np.ndarray, blocks: list[np.uint64], number: int, distance: int
) -> Iterator[pl.DataFrame]:
    """Pairs of distinct hashes that agree in block ``number`` and in no block before it."""
    order = np.argsort(right & blocks[number], kind="stable")
    keys = (right & blocks[number])[order]
    wanted = left & blocks[number]
    first = np.searchsorted(keys, wanted, side="left")
    sizes = np.searchsorted(keys, wanted, side="right") - first
    for start, end in _chunks(sizes):
        size = sizes[start:end]
        rows = np.repeat(np.arange(start, end), size)
        columns = order[ranges(first[start:end], size)]
        differing = left[rows] ^ right[columns]
        bits = np.bitwise_count(differing)
        kept = bits <= distance
        for earlier in blocks[:number]:
            kept &= (differing & earlier) != 0
        if kept.any():
            columns_found = {"left_value": rows[kept], "right_value": columns[kept], "distance": bits[kept]}
            yield pl.DataFrame(columns_found).cast(_VALUES)


def _chunks(sizes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cut positions of ``sizes`` so that a chunk holds CHUNK pairs, or one position that holds more."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        done = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, done + CHUNK, side="right")))
        yield start, end
        start = end


def _positions(value_of: np.ndarray, name: str) -> pl.DataFrame:
    """Which position holds which distinct value."""
    return pl.DataFrame({f"{name}_value": value_of.astype(np.uint32), name: np.arange(len(value_of), dtype=np.uint32)})
