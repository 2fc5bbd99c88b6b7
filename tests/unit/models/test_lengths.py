import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tdro.models.lengths import batches, groups, packs


@given(st.lists(st.integers(1, 500), max_size=200), st.integers(1, 20), st.sampled_from([0.0, 0.05, 0.5]))
def test_every_text_once_and_little_padding(lengths, rows, padding):
    made = list(batches(lengths, rows, padding))
    assert sorted(place for batch in made for place in batch) == list(range(len(lengths)))
    for batch in made:
        own = [lengths[place] for place in batch]
        assert own == sorted(own, reverse=True) and 1 <= len(own) <= rows
        assert sum(own) >= (1 - padding) * len(own) * max(own) - 1e-9


def test_texts_of_one_length_fill_whole_batches():
    assert [len(batch) for batch in batches([7] * 10, rows=4)] == [4, 4, 2]


def cost_of(parts, lengths, cost):
    return sum(len(part) * max(lengths[place] for place in part) + cost for part in parts)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(0, 60))
def test_no_other_groups_cost_less(lengths, cost):
    found = groups(lengths, cost)
    assert sorted(place for part in found for place in part) == list(range(len(lengths)))
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    every = (
        [order[a:b] for a, b in itertools.pairwise([0, *cuts, len(order)])]
        for number in range(len(order))
        for cuts in itertools.combinations(range(1, len(order)), number)
    )
    assert cost_of(found, lengths, cost) == min(cost_of(parts, lengths, cost) for parts in every)


def test_a_batch_of_the_papers_size_is_padded_by_less_than_a_tenth():
    lengths = np.clip(np.random.default_rng(0).lognormal(4.5, 0.8, 768).astype(int), 8, 512)
    parts = groups(lengths.tolist(), cost=1024)
    assert lengths.sum() > 0.9 * cost_of(parts, lengths, 0)
    assert len(parts) < 20


@given(st.lists(st.integers(1, 512), min_size=1, max_size=200), st.integers(1, 2000), st.integers(8, 4000))
def test_a_limit_is_kept_and_loses_no_text(lengths, cost, most):
    found = groups(lengths, cost, most)
    assert sorted(place for part in found for place in part) == list(range(len(lengths)))
    assert all(part and (len(part) == 1 or len(part) * max(lengths[p] for p in part) <= most) for part in found)


def test_less_than_a_tenth_is_padding_under_a_limit():
    """Queries and passages of the paper's lengths, in the groups of a GPU."""
    rng = np.random.default_rng(0)
    lengths = [*rng.integers(10, 128, 256), *np.minimum(rng.lognormal(5, 0.8, 512).astype(int) + 5, 512)]
    found = groups(lengths, 1024, 16_384)
    computed = sum(len(part) * max(lengths[place] for place in part) for part in found)
    assert sum(lengths) > 0.9 * computed


@given(st.lists(st.integers(0, 50), max_size=100), st.none() | st.integers(1, 200))
def test_packs_hold_every_text_and_no_more_tokens_than_allowed(lengths, most):
    packed = packs(lengths, most)
    assert [place for pack in packed for place in pack] == list(range(len(lengths)))
    sums = [sum(lengths[place] for place in pack) for pack in packed]
    assert all(pack for pack in packed)
    if most is None:
        assert len(packed) <= 1
    else:
        assert all(total <= most or len(pack) == 1 for total, pack in zip(sums, packed, strict=True))
        # No pack could have taken the next one's first text.
        firsts = [lengths[pack[0]] for pack in packed[1:]]
        assert all(total + first > most for total, first in zip(sums, firsts, strict=False))
