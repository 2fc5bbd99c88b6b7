from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tdro.artifacts.lists import Lists
from tdro.data.heldout import hold_out


@given(
    positives=st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=3, unique=True), min_size=1, max_size=40),
    wanted=st.integers(0, 12),
    seed=st.integers(0, 5),
)
@settings(max_examples=200)
def test_hold_out_splits_by_passage(positives, wanted, seed):
    counted = Counter()
    usable = np.arange(len(positives))
    lists = Lists.from_arrow(pa.array(positives, pa.list_(pa.int32())))
    split = hold_out(lists, usable, wanted, np.random.default_rng(seed), counted)
    drawn = set(split.passages.tolist())
    assert len(split.held_out) == len(set(split.held_out)) <= wanted
    assert all(drawn.isdisjoint(positives[query]) for query in split.training)
    assert all(drawn.issuperset(positives[query]) for query in split.held_out)
    assert len(split.training) + len(split.held_out) + sum(counted.values()) == len(positives)
