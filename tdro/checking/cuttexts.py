"""How many of the first texts the models of a configuration read only in part.

Counted by a model's own tokenizer where its files are on this machine, else guessed from bytes, with the prompt before
each text and the limit that holds: the configuration's, or that of the model where it is lower.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tdro.artifacts.foreign import read_foreign
from tdro.checking.facts import Facts
from tdro.config.mining import Encode
from tdro.config.models import Model
from tdro.forecast import models
from tdro.forecast.readers import Reader, Readers
from tdro.forecast.tokens import by_bytes
from tdro.models.cuts import MANY
from tdro.pipeline.jobs import Jobs

# Texts of a side that are tokenised, evenly taken from all.
_SAMPLE = 1000


class Cut(NamedTuple):
    """The share of a dataset's queries or passages that a model cuts.

    Attributes:
        model: What the model is called.
        side: ``queries`` or ``passages``.
        limit: Tokens that it reads of one, and the key that says so.
        share: Of the texts that are longer.
        median: Tokens of a text, prompt included.
        guessed: Whether its tokenizer is not here.
    """

    model: str
    side: str
    limit: int
    key: str
    share: float
    median: int
    guessed: bool


class CutTexts:
    """The readers of a configuration, the proxy first; each base with its lengths once."""

    def __init__(self, jobs: Jobs, readers: Readers) -> None:
        config = jobs.config
        named: dict[str, tuple[Reader, Model | Encode, str, str]] = {}
        for model in sorted(config.models, key=lambda model: model.name != config.proxy):
            reader = readers.bases[model.name]
            named[model.name] = (reader, model, "encoding.query_length", "encoding.passage_length")
        if jobs.mined:
            key = "mining.encode.max_length"
            named["the miner"] = (readers.miner, config.mining.encode, key, key)
        self._named = named
        self.proxy = config.proxy

    def of(self, facts: Facts) -> Iterator[Cut]:
        """What each model cuts of a dataset's texts."""
        name, entry = facts.look.name, facts.look.entry
        for called, (reader, asked, query_key, passage_key) in self._named.items():
            own, wording = _own_limit(asked), entry.instruction[0]
            query = reader.prompts.of_query(name, wording)
            passage = reader.prompts.of_passage(name, wording, symmetric=entry.symmetric)
            for side, texts, prompt, limit, key in (
                ("queries", facts.queries, query, reader.query_length, query_key),
                ("passages", facts.passages, passage, reader.passage_length, passage_key),
            ):
                if texts:
                    lower = own is not None and own < limit
                    length, told = (
                        (own, f"the model's own limit, below `{key}` {limit}") if lower else (limit, f"`{key}`")
                    )
                    yield _cut(called, side, _sample(texts), prompt, reader, length, told)


def sentences(cuts: Sequence[Cut]) -> Iterator[str]:
    """On each side of a dataset that a model cuts many of."""
    for cut in cuts:
        if cut.share > MANY:
            guess = " (guessed, as its tokenizer is not here)" if cut.guessed else ""
            yield (
                f"{cut.share:.0%} of {cut.side} are longer than {cut.model} reads{guess}: {cut.limit} tokens "
                f"({cut.key}), and every second text has {cut.median:,} or more. What stands behind is not seen; raise "
                "the limit, or split the texts"
            )


def _cut(called: str, side: str, texts: list[str], prompt: str, reader: Reader, limit: int, key: str) -> Cut:
    lengths = sorted(reader.tokens_of(tuple(f"{prompt}{text}" for text in texts)))
    share = sum(length > limit for length in lengths) / len(lengths)
    return Cut(called, side, limit, key, share, lengths[len(lengths) // 2], reader.tokens_of is by_bytes)


def _sample(texts: list[str]) -> list[str]:
    return texts[:: max(1, len(texts) // _SAMPLE)][:_SAMPLE]


def _own_limit(asked: Model | Encode) -> int | None:
    """The tokens that an embedding model was saved to read; None where that is not known, or it is not one."""
    base = asked.base if isinstance(asked, Model) else asked.model
    folder = models.folder_of(base, asked.sha256, asked.revision)
    file = folder / "sentence_bert_config.json" if folder else None
    if file is None or not file.is_file():
        return None
    limit = read_foreign(file).get("max_seq_length")
    return limit if isinstance(limit, int) else None
