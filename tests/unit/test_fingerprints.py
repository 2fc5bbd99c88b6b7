import hashlib
import logging
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simhash import Simhash

from tdro import fingerprints as module
from tdro.fingerprints import fingerprints, normalise

PIECES = st.sampled_from(["Σ", "ΑΣ ", "_", "中文", "北京大学", "İ", "abc", "\0", "\n", "𝒳", "é", " "])


@given(st.lists(st.text() | st.lists(PIECES, max_size=8).map("".join), max_size=5))
def test_fingerprint_is_the_packages_hash_of_the_normalised_text(texts):
    assert fingerprints(texts).tolist() == [Simhash(normalise(text)).value for text in texts]


@settings(max_examples=30)
@given(st.text(alphabet="_ aB9é的一是在不了有和人这中大为上个国"))
def test_underscores_and_segmentation_do_not_change_the_hash(text):
    # Simhash reads word characters only, white space is lost on it.
    assert fingerprints([text])[0] == Simhash(text.replace("_", "")).value


def test_normalise():
    assert normalise("snake_case words") == "snakecase words"
    assert normalise("我来到北京清华大学") == "我 来到 北京 清华大学"
    assert normalise("きのう 한국") == "きのう 한국"


def test_texts_without_words_share_the_empty_texts_hash():
    assert len(set(fingerprints(["", "?!", "__", " "]).tolist())) == 1
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
