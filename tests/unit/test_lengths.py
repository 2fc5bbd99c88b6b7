from hypothesis import given
from hypothesis import strategies as st

from tdro.lengths import batches


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
