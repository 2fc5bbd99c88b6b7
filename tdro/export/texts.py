"""The 64 texts by which an exported model is compared with the trained one: 32 queries and 32 passages.

They are our own and always the same, in several scripts, of one word up to a paragraph, because what gets lost shows in
some of them only: a tokenizer without EOS in short ones, another treatment of accents in French ones. A text that is
too long for the model is cut here, before anything reads it, so that no difference is one of lengths.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from tdro.config.prompts import OF_PASSAGES
from tdro.config.registry import QUERY
from tdro.models.room import Count, length_of, tokens_of

Kind = Literal["query", "document"]

_QUERIES = """
how do I stop a virtual machine
tea
which planet has the longest day
symptoms of iron deficiency in adults
SELECT name FROM cities WHERE population > 1000000;
Wie lange muss ein weiches Ei kochen?
où acheter un billet de train à prix réduit
什么时候种西红柿最合适
why is the sky dark at night if there are so many stars
list files by size, largest first
¿Cuántos años vive una tortuga?
return policy for opened software
ÜBERGRÖSSE oder Übergrösse
convert 5 miles to kilometres
как выбрать велосипед для города
a word for the smell of rain
sum(x**2 for x in range(10))
best time to prune apple trees
日本で一番深い湖
error 0x80070057: the parameter is incorrect
who wrote the first computer program?
3.14159
remove duplicates from a list and keep the order
can cats see in the dark
naïve café façade
how to tell a crow from a raven
كيف أتعلم السباحة
e-mail to a landlord about a broken heater
difference between weather and climate
spaces   and	tabs   between   words
what is the capital of Australia 🇦🇺
refund
""".strip("\n").split("\n")

_PASSAGES = (
    """
A virtual machine is stopped with the command `stop`, after which it costs nothing but its disk.
Venus turns once in 243 days, more slowly than any other planet.
Tea is made of the leaves of one plant; green and black tea differ in how long the leaves meet the air.
Whoever lacks iron is often tired and pale, and gets out of breath on stairs.
Cities of more than a million people: twelve in this country, three of them on the coast.
Ein weiches Ei kocht vier bis fünf Minuten, je nach Größe.
Les billets achetés trois semaines à l'avance coûtent souvent la moitié.
西红柿在最后一次霜冻之后移栽，大约在四月底。
The night sky is dark because the universe has an age: light of the farthest stars has not come here yet.
`ls -lS` lists files by size, the largest first. With `-r` the order turns round.
Una tortuga gigante puede vivir más de ciento cincuenta años.
Opened software may be returned within 14 days only if it does not work.
One mile is 1.609344 kilometres.
Для города удобен велосипед с прямой посадкой и крыльями.
Petrichor is the name of the smell that rain leaves on dry ground.
Apple trees are pruned in late winter, before buds open and after the hardest frosts.
田沢湖は日本で一番深い湖で、深さは423メートルです。
The error means that a program handed over a value that Windows does not accept; often the disk is formatted as FAT32.
Ada Lovelace published an algorithm for Babbage's engine in 1843.
def unique(items):
    seen = set()
Cats see with a sixth of the light that people need.
A café in Paris; the façade is naïve art, the rôle of colour is all.
Ravens are larger than crows, have a wedge-shaped tail and a heavy bill, and croak where crows caw.
يتعلم معظم الناس السباحة في عشرة دروس.
Dear landlord, the heater in the kitchen has been cold since Monday. Please send somebody this week.
Weather is what happens today. Climate is what happens on average over thirty years, with all its extremes.
Canberra is the capital of Australia. It was founded in 1913, between Sydney and Melbourne.
OK
1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144
Refunds go to the card that was charged, and take up to five working days. Shops refund gifts by voucher. What was \
bought abroad is refunded in the currency of the country, at the rate of the day. Postage is refunded where the shop \
made the mistake. Whoever has lost the receipt may show the statement of the bank.
The lake lies at 249 metres above the sea, so its floor is 174 metres below it. In winter it does not freeze. \
Fishermen caught a trout there that was thought to be gone since 1940, when acid water of a hot spring was led into \
the lake for a power station; it was found again in another lake, to which eggs had been brought before.
""".replace("\\\n", "")
    .strip("\n")
    .split("\n")
)


class Text(NamedTuple):
    """A text to compare by.

    Attributes:
        kind: What it is read as.
        prompt_name: The prompt of the model that stands before it; None where it has none for that kind.
        prompt: That prompt.
        text: What follows it.
    """

    kind: Kind
    prompt_name: str | None
    prompt: str
    text: str


def texts_for(model) -> list[Text]:
    """The texts for a SentenceTransformer, cut to what it reads.

    Queries take the prompts of the model by turns: ``query``, then those of its datasets. Passages take ``document``.
    """
    passage = next((name for name in OF_PASSAGES if name in model.prompts), model.default_prompt_name)
    others = [name for name in model.prompts if name not in (QUERY, passage)]
    asked = [QUERY if QUERY in model.prompts else model.default_prompt_name, *others]
    count = tokens_of(model)
    return [
        *(_cut(model, count, "query", asked[place % len(asked)], text) for place, text in enumerate(_QUERIES)),
        *(_cut(model, count, "document", passage, text) for text in _PASSAGES),
    ]


def _cut(model, count: Count, kind: Kind, name: str | None, text: str) -> Text:
    prompt, limit = model.prompts[name] if name else "", length_of(model, kind)
    while limit is not None and len(text) > 1 and count(prompt + text) > limit:
        text = text[: len(text) * 3 // 4].rstrip()
    return Text(kind, name, prompt, text)


def embed(model, texts: Sequence[Text]) -> np.ndarray:
    """Embeddings of the texts as a SentenceTransformer gives them, float32 of shape (texts, dimension).

    The model puts its prompts before them itself, by their names; those of one kind and prompt are one batch.
    """
    rows: dict[int, np.ndarray] = {}
    for kind, name in dict.fromkeys((text.kind, text.prompt_name) for text in texts):
        places = [place for place, text in enumerate(texts) if (text.kind, text.prompt_name) == (kind, name)]
        encode = model.encode_query if kind == QUERY else model.encode_document
        found = encode([texts[place].text for place in places], prompt_name=name, show_progress_bar=False)
        rows |= dict(zip(places, np.asarray(found, dtype=np.float32), strict=True))
    return np.stack([rows[place] for place in range(len(texts))])
