import hashlib
import logging
import unicodedata
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from simhash import Simhash

from tdro.text import fingerprints as module
from tdro.text.fingerprints import fingerprints, normalise

PIECES = st.sampled_from(
    ["Σ", "ΑΣ ", "_", "中文", "北京大学", "İ", "abc", "\0", "\n", "𝒳", "é", " ", "किताब", "→", "c++", "#"]
)
TEXTS = st.text() | st.lists(PIECES, max_size=8).map("".join)


def read(character):
    """What tells words apart: letters, digits, marks, symbols."""
    kind = unicodedata.category(character)
    return (
        character.isalnum() or kind[0] == "M" or kind in ("Sm", "Sc", "So") or character in "#%&@"
    ) and character != "_"


def ours(text):
    """Whether a text has a character that we read and the package does not."""
    return any(read(c) and not (c.isalnum() or c in "_") for c in normalise(text).lower())


@given(st.lists(TEXTS, max_size=5))
def test_fingerprint_is_the_packages_hash_of_what_is_read(texts):
    """The package takes features, too: 4-grams of the characters that are read, or one shorter feature."""
    for text, value in zip(texts, fingerprints(texts).tolist(), strict=True):
        letters = "".join(filter(read, normalise(text).lower()))
        if letters:
            assert value == Simhash([letters[i : i + 4] for i in range(max(1, len(letters) - 3))]).value
        if letters and not ours(text):
            assert value == Simhash(normalise(text)).value


@given(TEXTS, st.sampled_from(["NFC", "NFD"]))
def test_unicode_forms_have_one_fingerprint(text, form):
    assert len(set(fingerprints([text, unicodedata.normalize(form, text), f" {text}\u200b"]).tolist())) == 1


def test_full_width_has_the_fingerprint_of_narrow_letters():
    wide = "Ｗｈｅｒｅ　ｉｓ　Ｐａｒｉｓ　２０２４？"
    assert len(set(fingerprints([wide, "where is paris 2024?"]).tolist())) == 1


@pytest.mark.parametrize(
    "texts",
    [
        ["what is c++", "what is c#", "what is c"],
        ["किताब", "कीतीबो", "कतब"],
        ["เก่า", "เก้า", "เกา"],
        ["কি", "কী", "ক"],
        ["😀🎉", "→ ⇒", "⇒ →", "≤"],
        ["?!", "!?", "...", "", "(", "-"],
        ["a & b", "a @ b", "a b"],
    ],
)
def test_what_the_package_confuses_is_told_apart(texts):
    """Further apart than deduplication's default; 64 bits of unrelated texts differ in about 32."""
    values = fingerprints(texts).tolist()
    assert all((one ^ other).bit_count() > 2 for one, other in combinations(values, 2))


@given(st.text(alphabet="?!.,;:()[]{}'\"- \n-_", max_size=6), st.text(alphabet="?!.,;:()[]{}'\"- \n-_", max_size=6))
def test_texts_with_nothing_to_read_match_only_their_equals(one, other):
    first, second = fingerprints([one, other]).tolist()
    assert ((first ^ second).bit_count() <= 15) == (one.split() == other.split())


@settings(max_examples=30)
@given(st.text(alphabet="_ aB9é的一是在不了有和人这中大为上个国"))
def test_underscores_and_segmentation_do_not_change_the_hash(text):
    # Simhash reads word characters only, white space is lost on it.
    assume(text.strip(" _"))
    assert fingerprints([text])[0] == Simhash(text.replace("_", "")).value


def test_normalise():
    assert normalise("snake_case words") == "snakecase words"
    assert normalise("我来到北京清华大学") == "我 来到 北京 清华大学"
    assert normalise("きのう 한국") == "きのう 한국"


def test_no_texts_have_no_fingerprints():
    assert fingerprints([]).shape == (0,)
    assert fingerprints([]).dtype == np.uint64


def test_segmentation_is_silent(capfd):
    logging.getLogger("jieba").setLevel(logging.DEBUG)
    normalise("北京")
    assert capfd.readouterr() == ("", "")


@settings(max_examples=20)
@given(st.lists(st.text(alphabet="ab中 ", min_size=1, max_size=5), min_size=1, max_size=4), st.integers(1, 250))
def test_long_texts_with_repeated_shingles(units, times):
    texts = [(unit * times)[:255] + "ΑΣ" for unit in units]
    long = "".join(f"{number} " for number in range(2000))
    assert fingerprints([*texts, long]).tolist() == [Simhash(normalise(text)).value for text in [*texts, long]]


@pytest.mark.parametrize("times", [255, 256, 257, 70_000])
def test_counts_beyond_a_small_integer(times):
    text = "abcd" * times + "xyz"
    shingles = Counter(text[i : i + 4] for i in range(len(text) - 3))
    digests = {s: int.from_bytes(hashlib.md5(s.encode()).digest()[8:], "big") for s in shingles}
    half = sum(shingles.values()) / 2
    bits = [bit for bit in range(64) if sum(n for s, n in shingles.items() if digests[s] >> bit & 1) > half]
    assert fingerprints(["before", text, "after"])[1] == sum(1 << bit for bit in bits)


def test_chunks_and_processes_change_nothing(monkeypatch):
    texts = [f"question {number} about 北京 and {number * 7919}" for number in range(300)] + [""]
    whole = fingerprints(texts)
    monkeypatch.setattr(module, "CHUNK", 500)
    assert np.array_equal(fingerprints(iter(texts)), whole)
    assert np.array_equal(fingerprints(iter(texts), threads=2), whole)
