"""Retrieval tasks of mteb, which loads them from the hub (or from its cache, with HF_HUB_OFFLINE)."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tdro.errors import UserError
from tdro.readers.base import Passage
from tdro.readers.fields import identifier, passage_of, required
from tdro.readers.files import Malformed
from tdro.readers.qrels import whole
from tdro.readers.testsets.base import Topic
from tdro.readers.testsets.lines import above_zero

log = logging.getLogger(__name__)

Parsed = TypeVar("Parsed")


class Format:
    """A task by its name; the part is one of its subsets (MIRACL's languages)."""

    def __init__(self, path: str, part: str | None) -> None:
        import mteb

        try:
            self._task = mteb.get_task(path, hf_subsets=[part] if part else None)
        except (KeyError, ValueError) as error:
            raise UserError(f"mteb has no task {path!r}, or not the part {part!r} of it: {error}.") from None
        if self._task.metadata.type != "Retrieval":
            raise UserError(f"mteb's {path!r} is no retrieval task but {self._task.metadata.type}; name another.")
        self._subset = part or "default"

    def documents(self) -> Iterator[Passage]:
        """The corpus."""
        return self._parsed("corpus", self._data()["corpus"], partial(passage_of, key="id"))

    def queries(self) -> Iterator[Topic]:
        """The queries that are judged."""
        data = self._data()
        grades = dict(self._parsed("relevant_docs", data["relevant_docs"].items(), _judged))
        asked = self._parsed("queries", data["queries"], lambda row: (identifier(row, "id"), required(row, "text")))
        for query_id, text in asked:
            if query_id in grades:
                yield Topic(query_id, text, grades=grades.pop(query_id))
        if grades:
            name, first = self._task.metadata.name, next(iter(grades))
            log.warning("mteb's %s judges %d queries that it lacks, such as %r; left out", name, len(grades), first)

    def _parsed(self, what: str, rows: Iterable[Any], parse: Callable[[Any], Parsed]) -> Iterator[Parsed]:
        """What ``parse`` makes of each row.

        Raises:
            UserError: naming the row that it cannot read.
        """
        for number, row in enumerate(rows):
            try:
                yield parse(row)
            except Malformed as error:
                raise UserError(f"mteb's {self._task.metadata.name}, row {number} of {what} {error}.") from None

    def corpus_files(self) -> list[Path]:
        """None: mteb knows where they are."""
        return []

    query_files = corpus_files

    def _data(self) -> dict:
        """The task's own split: its first, which of MS MARCO and MIRACL is dev."""
        try:
            self._task.load_data()
        except (OSError, ValueError) as error:
            raise UserError(f"mteb cannot load {self._task.metadata.name}: {' '.join(str(error).split())}.") from error
        return self._task.dataset[self._subset][self._task.eval_splits[0]]


def _judged(item: tuple[Any, Mapping[Any, Any]]) -> tuple[str, dict[str, int]]:
    query, grades = item
    return str(query), above_zero({str(passage): whole(grade) for passage, grade in grades.items()})
