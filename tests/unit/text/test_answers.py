import hypothesis.strategies as st
import pytest
from hypothesis import given

from tdro.text.answers import has_answer, tokens

FOUND = {
    "Latin, accents and case": ("He was born in SÃO PAULO, Brazil.", "São Paulo"),
    "Latin, composed and decomposed": ("Zu\u0308rich is large", "Z\u00fcrich"),
    "Cyrillic": ("Автор — Дейв Эдмундс, певец", "дейв эдмундс"),
    "Greek": ("Η πρωτεύουσα είναι η ΑΘΉΝΑ.", "αθήνα"),
    "Arabic": ("ولد في القاهرة عام 1950", "القاهرة"),
    "Hebrew": ("הוא נולד בירושלים בשנת 1950", "בירושלים"),
    "Devanagari": ("भारत की राजधानी नई दिल्ली है", "नई दिल्ली"),
    "Hangul": ("대한민국의 수도는 서울 이다", "서울"),
    "Han, within a clause": ("我住在东京都的西边", "东京"),
    "kana, within a clause": ("歌手はデイヴ・エドモンズです", "デイヴ・エドモンズ"),
    "Thai, within a clause": ("เมืองหลวงคือกรุงเทพมหานครของไทย", "กรุงเทพ"),
    "Khmer, within a clause": ("រាជធានីគឺភ្នំពេញនៃកម្ពុជា", "ភ្នំពេញ"),
    "numbers": ("It has 26 episodes.", "26"),
    "numbers with points": ("a length of 1.5 km", "1.5 km"),
    "dates": ("on 2017-11-20 it opened", "2017-11-20"),
    "full-width digits stay themselves": ("２０１７年", "２０１７"),
    "symbols between words": ("AC/DC played", "ac/dc"),
    "the whole passage": ("Paris", "paris"),
}
NOT_FOUND = {
    "a part of a word": ("Parisian cafes", "Paris"),
    "a part of a number": ("It has 126 episodes", "26"),
    "words in another order": ("Paulo Sao", "Sao Paulo"),
    "words with another between": ("New big York", "New York"),
    "another accent": ("Sao Paulo", "São Paulo"),
    "another mark in Thai": ("กรงเทพ", "กรุงเทพ"),
    "another character": ("我住在東京都", "东京"),
    "a part of a Hangul word": ("서울대학교", "서울"),
    "nothing": ("some text", " "),
    "in an empty passage": ("", "Paris"),
}


@pytest.mark.parametrize(("passage", "answer"), FOUND.values(), ids=FOUND)
def test_answers_that_a_passage_contains(passage, answer):
    assert has_answer(passage, ["not this", answer])


@pytest.mark.parametrize(("passage", "answer"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_answers_that_it_does_not_contain(passage, answer):
    assert not has_answer(passage, [answer])


def test_no_answers_are_contained_in_nothing():
    assert not has_answer("some text", [])


WORDS = st.text("abéшג데東のก้ 12.,-", min_size=1, max_size=12).filter(str.strip)


@given(WORDS, WORDS, WORDS)
def test_a_text_of_its_own_between_spaces_is_found(before, answer, after):
    assert has_answer(f"{before} {answer} {after}", [answer])


@given(st.text(st.characters(exclude_categories=["Cn", "Cs"]), max_size=30))
def test_tokens_keep_every_letter_digit_and_symbol(text):
    import unicodedata

    kept = [c for c in unicodedata.normalize("NFD", text).lower() if unicodedata.category(c)[0] not in "ZC"]
    assert "".join(tokens(text)) == "".join(kept)
