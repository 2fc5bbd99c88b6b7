"""Benchmarks in their own formats: a corpus, queries, and what is relevant to each.

One module a format, with a class ``Format``. Texts stay as they are, equal queries stay apart, and
relevance keeps its grades, so that scores can be compared with published ones.

| reader | a local folder (``source.path``) | parts |
|---|---|---|
| ``beir`` | ``corpus.jsonl``, ``queries.jsonl``, ``qrels/test.tsv`` (else ``dev.tsv``); or one qrels file | by path |
| ``miracl`` | ``topics*dev.tsv``, ``qrels*dev.tsv``, ``docs-*.jsonl`` at any depth | languages |
| ``mkqa`` | ``mkqa.jsonl``, and ``psgs_w100.tsv`` or ``corpus.jsonl`` unless the entry names a ``corpus`` | languages |
| ``mteb`` | none: ``source.path`` is the name of a task of mteb, which loads it from the hub | subsets |

Every file may be gzipped (``.gz``).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Protocol

from tdro.config.registry import Source
from tdro.errors import UserError
from tdro.readers.base import Passage, cleaned, cleaner

#: The readers, and whether all parts of a benchmark search one corpus.
SHARED_CORPUS = {"beir": False, "miracl": False, "mkqa": True, "mteb": False}


@dataclass(frozen=True)
class Topic:
    """A query with the grades (above 0) of its relevant passages, or with the answers that a passage may contain.

    They are empty where nothing that was judged is relevant, or no answer could be found in a passage.
    """

    query_id: str
    text: str
    grades: dict[str, int] | None = None
    answers: tuple[str, ...] | None = None


class TestSet(Protocol):
    """What each format offers."""

    def documents(self) -> Iterator[Passage]:
        """Stream the corpus, each time in the same order."""

    def queries(self) -> Iterator[Topic]:
        """Stream the queries that are judged or have answers, each time in the same order."""

    def corpus_files(self) -> list[Path]:
        """Local files that the documents are read from, those that exist."""

    def query_files(self) -> list[Path]:
        """Local files that the queries are read from, those that exist."""


@dataclass(frozen=True)
class Cleaned:
    """A benchmark whose texts have their markup taken away; answers stay as they are."""

    whole: TestSet
    clean: Callable[[str], str]

    def documents(self) -> Iterator[Passage]:
        """The corpus."""
        return (cleaned(passage, self.clean) for passage in self.whole.documents())

    def queries(self) -> Iterator[Topic]:
        """The queries."""
        return (replace(topic, text=self.clean(topic.text)) for topic in self.whole.queries())

    def corpus_files(self) -> list[Path]:
        """Files of the corpus."""
        return self.whole.corpus_files()

    def query_files(self) -> list[Path]:
        """Files of the queries."""
        return self.whole.query_files()


def is_testset(source: Source) -> bool:
    """Whether the source is a benchmark in its own format, not rows of query and passages."""
    return source.reader in SHARED_CORPUS


def check_testset(source: Source, parts: Sequence[str]) -> None:
    """Raises UserError: when the path is missing, or parts and path disagree."""
    if source.hub:
        raise UserError(f"reader {source.reader!r} reads a benchmark from a local folder; remove `hub`.")
    if source.where:
        raise UserError(f"reader {source.reader!r} reads whole benchmarks and does not know `where`; remove it.")
    if not source.path:
        raise UserError(f"reader {source.reader!r} needs the key `path`; add it under `source` in the registry.")
    if "{part}" in source.path and not parts:
        raise UserError(f"path {source.path} has a {{part}}, but the benchmark lists no `parts`; add them.")
    if source.reader == "beir" and parts and "{part}" not in source.path:
        raise UserError(f"`parts` of the reader 'beir' need a {{part}} in the path; {source.path} has none.")


def open_testset(source: Source, part: str | None = None) -> TestSet:
    """The benchmark, or one part of it, that ``source`` names.

    Args:
        source: Reader and path; ``{part}`` in the path stands for ``part``.
        part: A language or sub-collection.

    Raises:
        UserError: see :func:`check_testset`.
    """
    check_testset(source, [part] if part else [])
    path = source.path.replace("{part}", part or "")
    testset = import_module(f"tdro.readers.testsets.{source.reader}").Format(path, part)
    clean = cleaner(source)
    return Cleaned(testset, clean) if clean else testset
