"""When two texts are one: invariances and separations of the two relations."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdro.data.echoes import nearly
from tdro.text.relations import said, said_key, said_keys, written, written_key

PIECES = ["e\u0301", "É", "ß", "İ", "Σς", "ﬁ", "ｶﾞ", "１２", "²", "½", "क्ष", "한", "ẛ", "\u0345", "a", "A", " ", "?"]
TEXTS = st.text(max_size=30) | st.lists(st.sampled_from(PIECES), max_size=10).map("".join)
SPACES = st.sampled_from([" ", "\n", "\t", "  ", "\r\n", "\u00a0", "\u3000", "\u2028", "\n    "])
INVISIBLE = st.sampled_from(list("\u200b\u200c\u200d\u00ad\ufeff\u2060\u200e\ufe0f\0\x1b\x7f"))
MARKS = st.sampled_from(list(".,;:!?'\"`“”‘’«»…、。！？؟،।¿¡"))
WORDS = st.lists(
    st.sampled_from(["Who", "wrote", "été", "北京", "C++", "f(a)", "10²", "किताब", "straße"]), min_size=1, max_size=6
)


@given(TEXTS)
def test_a_form_stands_for_itself(text):
    """What a relation compares is in the relation with the text, so that both are equivalences."""
    assert written(written(text)) == written(text)
    assert said(said(text)) == said(text)
    assert said(written(text)) == said(text)


@given(TEXTS, st.sampled_from(["NFC", "NFD"]))
def test_canonical_forms_are_the_same_text(text, form):
    assert written(unicodedata.normalize(form, text)) == written(text)


@given(TEXTS)
def test_what_canonical_equivalence_without_case_calls_equal_says_the_same(text):
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
    assert said(folded) == said(text)


@given(st.text(alphabet=[chr(code) for code in range(0xFF01, 0xFFDD)], max_size=20))
def test_full_and_half_width_are_the_same_text(text):
    assert written(unicodedata.normalize("NFKC", text)) == written(text)


@given(WORDS, st.data())
def test_white_space_and_invisible_characters_do_not_count(words, data):
    spaced = data.draw(SPACES) + "".join(word + data.draw(SPACES) for word in words)
    place = data.draw(st.integers(0, len(spaced)))
    assert (
        written(spaced[:place] + data.draw(INVISIBLE) + spaced[place:]) == written(" ".join(words)) == " ".join(words)
    )


@given(WORDS, st.data())
def test_case_and_sentence_marks_are_what_is_said_without(words, data):
    changed = [data.draw(st.sampled_from([str, str.casefold, str.title]))(word) for word in words]
    marked = " ".join(data.draw(MARKS) + word + data.draw(MARKS) for word in changed)
    assert said(marked) == said(" ".join(words))


@given(TEXTS, TEXTS)
def test_the_same_texts_say_the_same(one, other):
    if written(one) == written(other):
        assert said(one) == said(other)
    assert (written_key(one) == written_key(other)) == (written(one) == written(other))
    assert (said_key(one) == said_key(other)) == (said(one) == said(other))


@given(st.text(alphabet="abcXYZ019.,;:!?'\"()[]{}<>=+-*/#$%&@^_|~ ", max_size=20), st.data())
def test_ascii_texts_are_the_same_only_if_equal_but_for_white_space(one, data):
    other = data.draw(st.just(one) | st.text(alphabet="abcXYZ019., '", max_size=6))
    assert (written(one) == written(other)) == (one.split() == other.split())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.5", "15"), ("1,000", "1.000"), ("x = 'y'", "x = y"), ("f(a, b)", "f(a b)"), ("Rust", "rust"), ("a b", "ab"),
        ("who's", "whos"), ("10²", "102"), ("½", "12"), ("H₂O", "H2O"), ("①", "1"), ("→", "⇒"), ("?!", "!?"),
    ],
)  # fmt: skip
def test_what_differs_is_another_text(one, other):
    assert written(one) != written(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.5", "15"), ("-1", "1"), ("c++", "c#"), ("c#", "c"), ("f(a)", "f a"), ("10²", "102"), ("कि", "की"),
        ("?!", "!?"), ("x += 1", "x = 1"), ("a b", "ab"), ("$5", "5"), ("5%", "5"), ("", "?"),
    ],
)  # fmt: skip
def test_what_says_another_thing(one, other):
    assert said(one) != said(other)
    assert len(set(said_keys([one, other]).tolist())) == 2


@given(st.text(alphabet="abc ", max_size=12), st.text(alphabet="abc ", max_size=12))
def test_nearly_is_a_share_of_trigrams(one, other):
    groups, others = ({"".join(group) for group in zip(t, t[1:], t[2:], strict=False)} for t in (one, other))
    alike = 5 * len(groups & others) >= 4 * len(groups | others) and bool(groups | others)
    assert (
        nearly(one, other)
        == nearly(other, one)
        == (alike and 5 * min(map(len, (one, other))) >= 4 * max(map(len, (one, other))))
    )
