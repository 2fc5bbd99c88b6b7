"""How many texts a model reads only in part.

A text longer than the limit is cut by the tokenizer, and nobody hears of it. The tokens of a batch tell which texts
fill the limit; these are tokenised again, uncut, to tell those that are cut from those that just fit.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tdro.models.room import length_of
from tdro.progress import Progress

log = logging.getLogger(__name__)

#: A share of cut texts that is worth a warning.
MANY = 1 / 3

# How a line ends that tells of cut texts.
_CUT = "texts were longer than the model reads, and cut"


class CutCounter:
    """Stands in a model's place where it tokenises texts, and counts.

    Args:
        model: A SentenceTransformer or CrossEncoder; its ``preprocess`` goes through this object from now on.

    Attributes:
        read, cut: Texts since :meth:`tell`, by the ``task`` they were tokenised for (``query``, ``document`` or None).
        tokens: Of all texts so far.
        told: What is told of each batch, where anything is.
    """

    told: Progress | None = None

    def __init__(self, model) -> None:
        self._model, self._preprocess = model, model.preprocess
        self.read: Counter = Counter()
        self.cut: Counter = Counter()
        self.tokens = 0
        model.preprocess = self

    def __call__(
        self, inputs: Sequence, prompt: str | None = None, task: str | None = None, **others
    ) -> dict[str, Any]:
        """What ``preprocess`` gives."""
        from tdro.models.features import text_lengths

        features = self._preprocess(inputs, prompt=prompt, task=task, **others)
        self.tokens += sum(text_lengths(features))
        self.read[task] += len(inputs)
        if self.told:
            self.told.add(len(inputs))
        self.cut[task] += len(cut_places(self._model, inputs, features, task, prompt))
        return features

    def tell(self, what: str) -> None:
        """A line in the log; counting starts anew."""
        say(what, self.cut.total(), self.read.total())
        self.read.clear()
        self.cut.clear()


def say(what: str, cut: int, read: int) -> None:
    """A line on the texts that were cut, where there are any; a warning where they are many."""
    if cut:
        level = logging.WARNING if cut > MANY * read else logging.INFO
        log.log(level, f"%s: %d of %d {_CUT}", what, cut, read)


def heard(text: str) -> Iterator[tuple[str, int, int]]:
    """What :func:`say` has said in a log: what it was about, texts cut, and of how many."""
    for what, cut, read in re.findall(
        rf"^[\d:]+ {re.escape(__name__)}: (?:warning: )?(.+): (\d+) of (\d+) {_CUT}$", text, re.M
    ):
        yield what, int(cut), int(read)


def cut_places(
    model, texts: Sequence, features: Mapping[str, Any], task: str | None = None, prompt: str | None = None
) -> list[int]:
    """Places of the texts that are cut.

    Args:
        model: What has tokenised them.
        texts: Texts, or pairs of them.
        features: Their tokens.
        task: What they were tokenised for.
        prompt: What stands before each.
    """
    from tdro.models.features import text_lengths

    limit = length_of(model, task)
    full = [place for place, length in enumerate(text_lengths(features)) if limit is not None and length >= limit]
    if not full:
        return []
    chosen = [texts[place] for place in full]
    pairs = [list(side) for side in zip(*chosen, strict=True)] if not isinstance(chosen[0], str) else None
    asked = pairs or [[f"{prompt or ''}{text}" for text in chosen]]
    tokens = model.tokenizer(*asked, truncation=False, verbose=False)["input_ids"]
    return [place for place, whole in zip(full, tokens, strict=True) if len(whole) > limit]
