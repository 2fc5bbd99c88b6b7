import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdro.text.strings import chunks, count_words, cut


@pytest.mark.parametrize("text, words", [("", 0), ("two words", 2), ("晨光 abc", 3), ("中文abc中", 4), ("カナ", 2)])
def test_count_words(text, words):
    assert count_words(text) == words


def test_cut_keeps_the_first_words():
    assert cut("one two three", 2) == "one two"
    assert cut("中文字符 end", 3) == "中文字"
    assert cut("one two", None) == "one two"


@given(st.text(alphabet="ab 中文\n\t", max_size=40), st.integers(1, 10))
def test_cut_is_a_prefix_of_at_most_so_many_words_with_its_own_white_space(text, words):
    assert text.startswith(cut(text, words))
    assert count_words(cut(text, words)) == min(words, count_words(text))


@given(st.lists(st.text(max_size=5)), st.integers(1, 9))
def test_chunks_keep_the_order(texts, size):
    pieces = list(chunks(iter(texts), size))
    assert [text for piece in pieces for text in piece] == texts
    assert all(pieces)
