"""BEIR (Thakur et al., 2021): corpus.jsonl, queries.jsonl, qrels/test.tsv."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tdro.errors import UserError
from tdro.readers.fields import identifier, required
from tdro.readers.testsets.base import Document, Topic, document
from tdro.readers.testsets.lines import Judged, either, existing, need, objects


class Format:
    """A folder, or one of its qrels files, which chooses the split (MS MARCO: ``qrels/dev.tsv``).

    Without a choice the split is test, and dev where there is no test.
    """

    def __init__(self, path: str, part: str | None) -> None:
        given = Path(path)
        self._folder = given.parent.parent if given.is_file() else given
        self._given = given if given.is_file() else None

    def documents(self) -> Iterator[Document]:
        """The corpus, in the order of its file."""
        yield from objects(need(self._folder, "corpus.jsonl", "BEIR"), document)

    def queries(self) -> Iterator[Topic]:
        """The queries of the split, in the order of their file."""
        split = self._given or _split(self._folder)
        if split is None:
            raise UserError(
                f"{self._folder / 'qrels'} has no test.tsv or dev.tsv; expected a folder in BEIR's layout, "
                "or one of its qrels files."
            )
        judged, file = Judged(split), need(self._folder, "queries.jsonl", "BEIR")
        found = objects(file, lambda value: judged.topic(identifier(value, "_id"), partial(required, value, "text")))
        yield from filter(None, found)
        judged.check(file)

    def corpus_files(self) -> list[Path]:
        """The corpus."""
        return existing(either(self._folder, "corpus.jsonl"))

    def query_files(self) -> list[Path]:
        """Queries and judgements."""
        return existing(either(self._folder, "queries.jsonl"), self._given or _split(self._folder))


def _split(folder: Path) -> Path | None:
    return either(folder / "qrels", "test.tsv") or either(folder / "qrels", "dev.tsv")
