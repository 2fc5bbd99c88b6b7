"""BEIR (Thakur et al., 2021): corpus.jsonl, queries.jsonl, qrels/test.tsv."""

from collections.abc import Iterator
from pathlib import Path

from tdro.errors import UserError
from tdro.testsets import Document, Topic
from tdro.testsets.lines import either, existing, need, objects, qrels, string


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
        for value, place in objects(need(self._folder, "corpus.jsonl", "BEIR")):
            yield Document(string(value, "_id", place), value.get("title") or "", string(value, "text", place))

    def queries(self) -> Iterator[Topic]:
        """The queries of the split, in the order of their file."""
        judged = self._given or _split(self._folder)
        if judged is None:
            raise UserError(
                f"{self._folder / 'qrels'} has no test.tsv or dev.tsv; expected a folder in BEIR's layout, "
                "or one of its qrels files."
            )
        grades = qrels(judged, columns=3)
        file = need(self._folder, "queries.jsonl", "BEIR")
        for value, place in objects(file):
            query_id = string(value, "_id", place)
            if query_id in grades:
                yield Topic(query_id, string(value, "text", place), grades=grades.pop(query_id))
        if grades:
            raise UserError(f"{judged} names query {next(iter(grades))!r}, which {file} does not hold.")

    def corpus_files(self) -> list[Path]:
        """The corpus."""
        return existing(either(self._folder, "corpus.jsonl"))

    def query_files(self) -> list[Path]:
        """Queries and judgements."""
        return existing(either(self._folder, "queries.jsonl"), self._given or _split(self._folder))


def _split(folder: Path) -> Path | None:
    return either(folder / "qrels", "test.tsv") or either(folder / "qrels", "dev.tsv")
