"""In which language a text is, as far as its script and its commonest words tell.

No model and no library: a script that one language has names it (Hangul, Thai), and of languages in Latin letters the
one counts whose function words a text has most of. That tells pages of French from pages of English. It does not tell
Danish from Norwegian reliably, and of titles, names and code mostly nothing.
"""

from collections import Counter
from collections.abc import Iterable
from functools import cache

import regex

# Scripts that name a language, and letters that only one of a script's languages has. The first that matches counts.
_SCRIPTS = (
    ("ja", r"\p{Hiragana}\p{Katakana}"), ("ko", r"\p{Hangul}"), ("zh", r"\p{Han}"), ("th", r"\p{Thai}"),
    ("el", r"\p{Greek}"), ("he", r"\p{Hebrew}"), ("hi", r"\p{Devanagari}"), ("bn", r"\p{Bengali}"),
    ("te", r"\p{Telugu}"), ("ta", r"\p{Tamil}"), ("ka", r"\p{Georgian}"), ("hy", r"\p{Armenian}"),
    ("fa", "پچژگ"), ("ar", r"\p{Arabic}"),
    ("uk", "іїєґ"), ("ru", r"\p{Cyrillic}"),
)  # fmt: skip
# Function words. Those that two languages share stand in both; single letters, which may be a variable or an item of a
# list, in none.
_WORDS = {
    "en": "the of and to is in that for it with as was on are be this by from or have not you what how do does can if",
    "de": "der die das und ist nicht ein eine zu den von mit auf für im dem auch es an werden wie ich sich sind wird",
    "fr": "le la les des et est un une dans que pour qui du en pas sur avec au ce par plus sont il ne je vous comment",
    "es": "el la los las de que en un una es por con para del se no como su al lo más si qué puedo cómo",
    "it": "il di che è la un una per non con del si le da in sono come della gli nel più lo posso",
    "pt": "de que do da em um para com não uma os no se na por mais as como foi ao ele é",
    "nl": "de het een van en is dat niet in op te zijn voor met die er aan hoe ik wat om ook als naar",
    "sv": "och att det som en är av för den till inte med på har om ett jag hur var kan",
    "da": "og at det som en er af for den til ikke med på har om et jeg hvordan var kan",
    "pl": "nie na się do jest że to jak za po od przez ale czy jego",
    "cs": "se na je že do jako ale by jsem jak pro tak byl",
    "fi": "ja on ei että se oli joka myös kuin hän mutta ovat miten sen voi",
    "hu": "az és hogy nem egy is van meg volt de csak ez mint vagy",
    "ro": "și de la în nu este un pe cu care să din pentru mai",
    "tr": "ve bir bu için de da ile ne nasıl olarak daha olan çok gibi",
    "id": "yang dan di dari untuk dengan ini itu pada tidak adalah ke dalam akan bagaimana",
    "vi": "của và là các có trong được cho không những một với",
}
_LETTER = regex.compile(r"\p{L}")
_WORD = regex.compile(r"\p{L}+")
# Characters of a text that are looked at, and the share of a script in its letters from which on it names the language.
_LOOKED_AT, _SCRIPT_SHARE = 2000, 0.3
# Function words that a text must have, and share of its words.
_FEWEST, _LEAST_SHARE = 2, 0.1

#: The languages that can be told.
KNOWN = frozenset([*_WORDS, *(name for name, _ in _SCRIPTS)])


def language_of(text: str) -> str | None:
    """The ISO 639 code of a text's language; None where it cannot be told.

    >>> language_of("How do I undo the last commit?"), language_of("Wie kann ich das rückgängig machen und ist es gut?")
    ('en', 'de')
    """
    text = text[:_LOOKED_AT]
    letters = len(_LETTER.findall(text))
    if not letters:
        return None
    if not text.isascii():
        for name, pattern in _patterns():
            own = len(pattern.findall(text))
            # A few kana or letters of its own tell Japanese from Chinese, Persian from Arabic.
            if own >= (_SCRIPT_SHARE if name not in ("ja", "fa", "uk") else 0.03) * letters:
                return name
    words = _WORD.findall(text.lower())
    hits = Counter(language for word in words for language in _languages().get(word, ()))
    best = hits.most_common(2)
    if not best or best[0][1] < max(_FEWEST, _LEAST_SHARE * len(words)):
        return None
    return best[0][0] if len(best) == 1 or best[0][1] > best[1][1] else None


def languages(texts: Iterable[str]) -> Counter[str]:
    """How many of some texts are in which language, of those that can be told."""
    return Counter(filter(None, map(language_of, texts)))


@cache
def _patterns() -> list[tuple[str, regex.Pattern]]:
    return [(name, regex.compile(f"[{script}]")) for name, script in _SCRIPTS]


@cache
def _languages() -> dict[str, list[str]]:
    """The languages of each function word."""
    found: dict[str, list[str]] = {}
    for language, words in _WORDS.items():
        for word in words.split():
            found.setdefault(word, []).append(language)
    return found
