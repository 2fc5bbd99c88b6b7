import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tdro.data.keys import KeyRows


@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=8), st.integers(0, 2**63))
def test_rows_of_keys_are_those_of_a_dictionary(blocks, spread):
    """Keys that share their low bits want one slot."""
    table, known = KeyRows(), {}
    for block in blocks:
        keys = np.array([(number << 40) ^ spread for number in block], dtype=np.uint64)
        new = [place for place, key in enumerate(block) if key not in known and key not in block[:place]]
        for place in new:
            known[block[place]] = len(known)
        rows, first = table.add(keys)
        assert rows.tolist() == [known[key] for key in block]
        assert first.tolist() == new
    assert len(table) == len(known)
    assert table.find(np.array([(99 << 40) ^ spread], dtype=np.uint64)).tolist() == [-1]


def test_a_table_of_keys_grows():
    keys = np.random.default_rng(0).integers(0, 2**64, 300_000, dtype=np.uint64)
    table = KeyRows()
    for block in np.array_split(keys, 7):
        table.add(block)
    assert np.array_equal(table.find(keys), np.arange(len(keys)))
