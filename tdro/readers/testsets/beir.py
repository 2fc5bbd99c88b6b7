"""BEIR (Thakur et al., 2021): corpus.jsonl, queries.jsonl, qrels/test.tsv, where :mod:`tdro.readers.beir` finds them.

What differs is the purpose: of a training set a malformed line is left out and counted, of a benchmark it is refused.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tdro.readers.base import Passage
from tdro.readers.beir import located, no_qrels
from tdro.readers.fields import identifier, passage_of, required
from tdro.readers.parts import either
from tdro.readers.testsets.base import Topic
from tdro.readers.testsets.lines import Judged, need, objects


class Format:
    """A folder, or one of its qrels files, which chooses the split (MS MARCO: ``qrels/dev.tsv``).

    Without a choice the split is test, and dev where there is no test.
    """

    def __init__(self, path: str, part: str | None) -> None:
        self._folder, self._qrels = located(Path(path), "test")

    def documents(self) -> Iterator[Passage]:
        """The corpus, in the order of its file."""
        return objects(need(self._folder, "corpus.jsonl", "BEIR"), passage_of)

    def queries(self) -> Iterator[Topic]:
        """The queries of the split, in the order of their file."""
        if self._qrels is None:
            raise no_qrels(self._folder, "test")
        judged, file = Judged(self._qrels), need(self._folder, "queries.jsonl", "BEIR")
        yield from objects(file, lambda value: judged.topic(identifier(value, "_id"), partial(required, value, "text")))
        judged.check(file)

    def corpus_files(self) -> list[Path]:
        """The corpus."""
        return list(filter(None, [either(self._folder, "corpus.jsonl")]))

    def query_files(self) -> list[Path]:
        """Queries and judgements."""
        return list(filter(None, [either(self._folder, "queries.jsonl"), self._qrels]))
