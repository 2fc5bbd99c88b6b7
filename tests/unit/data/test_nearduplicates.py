import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdro.data import nearduplicates
from tdro.data.nearduplicates import closest, near_duplicates, repeats

HASHES = st.integers(0, 2**64 - 1)


def brute_force(left, right, distance):
    """Every pair compared, bit by bit."""
    pairs = [(i, j, bin(int(a) ^ int(b)).count("1")) for i, a in enumerate(left) for j, b in enumerate(right)]
    return sorted((p for p in pairs if p[2] <= distance), key=lambda p: (p[0], p[2], p[1]))


@st.composite
def hashes_with_flipped_bits(draw):
    """Two arrays; the second holds some hashes of the first with a few bits flipped, and repeats."""
    left = draw(st.lists(HASHES, min_size=1, max_size=12))
    right = draw(st.lists(HASHES, max_size=6))
    for value in draw(st.lists(st.sampled_from(left), max_size=12)):
        flips = draw(st.sets(st.integers(0, 63), max_size=17))
        right.append(value ^ sum(1 << bit for bit in flips))
    return np.array(left, dtype=np.uint64), np.array(right, dtype=np.uint64)


@given(hashes_with_flipped_bits(), st.integers(0, 63))
def test_join_equals_brute_force(hashes, distance):
    assert near_duplicates(*hashes, distance).rows() == brute_force(*hashes, distance)


@given(hashes_with_flipped_bits(), st.integers(0, 15))
def test_closest_is_the_first_of_the_nearest(hashes, distance):
    best = {}
    for left, right, bits in brute_force(*hashes, distance):
        best.setdefault(left, (left, right, bits))
    assert closest(*hashes, distance).rows() == list(best.values())


@pytest.mark.parametrize("distance", [0, 2, 15])
def test_join_in_many_chunks_equals_one(monkeypatch, distance):
    random = np.random.default_rng(1)
    left = random.integers(0, 2**64, 200, dtype=np.uint64)
    right = np.concatenate([left[:50] ^ np.uint64(1 << 63), left[:50] ^ np.uint64(0b11), left[:10], left[:10]])
    whole = near_duplicates(left, right, distance)
    monkeypatch.setattr(nearduplicates, "CHUNK", 7)
    assert near_duplicates(left, right, distance).equals(whole)
    assert whole.rows() == brute_force(left, right, distance)


def test_equal_hashes_in_great_number_are_compared_once():
    same = np.full(100_000, 12345, dtype=np.uint64)
    pairs = closest(same, same, 3)
    assert len(pairs) == 100_000
    assert set(pairs["right"]) == {0}


def test_empty_sides_have_no_pairs():
    none, one = np.empty(0, dtype=np.uint64), np.array([1], dtype=np.uint64)
    for left, right in ((none, one), (one, none), (none, none)):
        assert len(near_duplicates(left, right, 2)) == 0
        assert len(closest(left, right, 2)) == 0


@given(hashes_with_flipped_bits(), st.integers(0, 63))
def test_repeats_go_greedily_in_row_order(hashes, distance):
    rows = [int(value) for part in hashes for value in part]
    kept, gone = [], []
    for row, value in enumerate(rows):
        near = any((value ^ rows[other]).bit_count() <= distance for other in kept)
        (gone if near else kept).append(row)
    found = repeats(np.array(rows, dtype=np.uint64), distance)
    assert found["left"].to_list() == gone
    for row, match, bits in found.iter_rows():
        first = rows.index(rows[row])
        earlier = [other for other in kept if other < first] if first in gone else [first]
        best = min(earlier, key=lambda other: ((rows[row] ^ rows[other]).bit_count(), other))
        assert (match, bits) == (best, (rows[row] ^ rows[best]).bit_count())


def test_repeats_of_nothing():
    assert len(repeats(np.empty(0, dtype=np.uint64), 2)) == 0
