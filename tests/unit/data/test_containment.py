"""The index against sets of strings in plain Python."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdro.data import containment
from tdro.data.containment import Contained, letters
from tdro.text.relations import said

WORDS = [
    "alpha",
    "Beta",
    "gamma",
    "of",
    "in",
    "a",
    "c++",
    "\u5317\u4eac",
    "\u5929\u6c14",
    "\u4f55",
    "москва",
    "река",
    "किताब",
    "\ud55c\uad6d",
    "1.5",
    "?",
]
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)


def groups(text):
    """Every group of a text, as strings."""
    text, found = said(text).replace(" ", ""), set()
    for start, character in enumerate(text):
        wide = character in "\u5317\u4eac\u5929\u6c14\u4f55\ud55c\uad6d"
        group = text[start : start + (4 if wide else 8)]
        if len(group) == (4 if wide else 8):
            found.add(group)
    return found


def share(part, text):
    """Share of the groups of ``part`` that ``text`` has; 1 for the same letters, 0 for a part of too few groups."""
    if letters(part) == letters(text) != "":
        return 1.0
    wanted = groups(part)
    return len(wanted & groups(text)) / len(wanted) if len(wanted) >= 5 else 0.0


def found(parts, texts):
    index = Contained()
    numbers = index.add(parts)
    index.finish()
    places, others, shares = index.find(texts)
    return numbers, list(zip(places.tolist(), others.tolist(), shares.round(9).tolist(), strict=True))


@pytest.fixture
def whole(monkeypatch):
    """No sampling of long texts."""
    monkeypatch.setattr(containment, "SAMPLE", 1 << 30)


@given(st.lists(SENTENCES, max_size=8), st.lists(SENTENCES, max_size=8), st.data())
def test_what_is_found_is_what_sets_of_strings_find(parts, texts, data):
    texts = [*texts, *(f"{data.draw(SENTENCES)} {part} {data.draw(SENTENCES)}" for part in parts)]
    numbers, pairs = found(parts, texts)
    expected = {
        (place, int(number), round(share(part, text), 9))
        for place, text in enumerate(texts)
        for number, part in zip(numbers, parts, strict=True)
        if share(part, text) >= 0.8
    }
    assert set(pairs) == expected
    assert len(pairs) == len(expected)
    assert pairs == sorted(pairs)


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("pairs_at_a_time", [1, 7, 1 << 16])
def test_many_random_texts(monkeypatch, pairs_at_a_time):
    monkeypatch.setattr(containment, "_PAIRS", pairs_at_a_time)
    chance = random.Random(5)
    parts = [" ".join(chance.choices(WORDS, k=chance.randint(1, 40))) for _ in range(120)]
    texts = [" ".join(chance.choices(WORDS, k=20) + chance.sample(parts, 2)) for _ in range(60)] + parts[:20]
    numbers, pairs = found(parts, texts)
    expected = {
        (i, int(number))
        for i, t in enumerate(texts)
        for number, p in zip(numbers, parts, strict=True)
        if share(p, t) >= 0.8
    }
    assert {pair[:2] for pair in pairs} == expected
    assert len(expected) > 120


def test_a_sample_of_a_long_text_stands_for_it():
    """A text that is there whole is always found; one of which a third is there never (18 standard deviations)."""
    chance = random.Random(7)
    words = ["".join(chance.choices("abcdefghijklmnop", k=7)) for _ in range(900)]
    parts = [" ".join(words[i : i + 90]) for i in range(0, 900, 90)]
    texts = [f"before {part} after" for part in parts] + [" ".join(part.split()[:30]) for part in parts]
    assert found(parts, texts)[1] == [(i, i, 1.0) for i in range(10)]


def test_what_is_not_wanted_is_not_found():
    index = Contained()
    index.add(["the first of all texts", "the second of all texts", "short"])
    index.finish()
    texts = ["here is the first of all texts", "the second of all texts", "Short!"]
    assert index.find(texts)[1].tolist() == [0, 1, 2]
    assert index.find(texts, np.array([False, True, False]))[1].tolist() == [1]
    assert index.find([])[1].tolist() == []


def test_nothing_is_found_in_an_empty_index():
    index = Contained()
    index.finish()
    assert [column.tolist() for column in index.find(["a text of some length", ""])] == [[], [], []]
