"""Languages by script and function words, on sentences of each."""

import doctest

import pytest

from tdro.text import languages as module
from tdro.text.languages import KNOWN, language_of, languages

SENTENCES = {
    "en": "How do I find out which of the files was changed in the last commit?",
    "de": "Wie finde ich heraus, welche der Dateien sich mit dem letzten Stand nicht mehr verträgt?",
    "fr": "Comment est-ce que je peux trouver les fichiers qui ne sont pas dans le dossier ?",
    "es": "\u00bfCómo puedo encontrar los archivos que no están en la carpeta de una persona?",
    "it": "Come posso trovare i file che non sono nella cartella della persona per il lavoro?",
    "nl": "Hoe kan ik de bestanden vinden die niet in het archief van een ander zijn?",
    "pl": "Jak można znaleźć pliki, które nie są w folderze, i czy to jest możliwe?",
    "tr": "Bu dosya için ne yapmalıyım ve nasıl daha hızlı olarak bulabilirim?",
    "ru": "Как найти файлы, которых нет в папке?",
    "zh": "如何找到不在文件夹中的文件？",
    "ja": "フォルダにない文書をどうやって見つけますか？",
    "ko": "폴더에 없는 파일을 어떻게 찾나요?",
    "th": "จะหาไฟล์ได้อย่างไร",
    "ar": "كيف أجد الملفات",
}


def test_the_example_holds():
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(("language", "text"), SENTENCES.items())
def test_sentences_are_told(language, text):
    assert language_of(text) == language
    assert language in KNOWN


@pytest.mark.parametrize("text", ["", "x = y + 1", "Berlin 2024", "aspirin", "12.5 %", "de la", "a b c: a, b or s a a"])
def test_what_tells_no_language_is_none(text):
    assert language_of(text) is None


def test_some_english_in_a_text_of_another_script_does_not_hide_it():
    assert language_of("如何在 Git 中撤消最后一次 commit 并保留更改") == "zh"


def test_texts_are_counted():
    assert languages([*SENTENCES.values(), SENTENCES["de"], "x"])["de"] == 2
