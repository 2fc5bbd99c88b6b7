"""Lines of the benchmarks' files: JSON objects, judgements and text, plain or gzipped.

They are read as those of training tasks are (:mod:`tdro.readers.files`), but no line may be wrong: a benchmark of which
something is left out is another benchmark.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tdro.errors import UserError
from tdro.readers import files
from tdro.readers.files import EMPTY, read_lines, some, strict
from tdro.readers.parts import either
from tdro.readers.qrels import Judgements
from tdro.readers.testsets.base import Topic

log = logging.getLogger(__name__)

Parsed = TypeVar("Parsed")
_ADVICE = "correct it or get the file anew"


def need(folder: Path, name: str, layout: str) -> Path:
    """The file of that name, or its gzipped form, which must be there.

    Raises:
        UserError: naming the file and the ``layout`` that was expected.
    """
    found = either(folder, name)
    if found is None:
        below = next(iter(sorted([*folder.glob(f"*/{name}"), *folder.glob(f"*/{name}.gz")])), None)
        meant = f", perhaps {below.parent}" if below else ""
        raise UserError(f"{folder / name} (or .gz) does not exist; expected a folder in {layout}'s layout{meant}.")
    return found


def texts(path: Path, parse: Callable[[int, bytes], Parsed | None]) -> Iterator[Parsed]:
    """What ``parse`` makes of each line that is not blank, given its number from 1 and its bytes; null is left out.

    Raises:
        UserError: when the file cannot be read, or naming the line that ``parse`` cannot read.
    """
    return filter(None, strict(read_lines(path, parse), _ADVICE))


def objects(path: Path, parse: Callable[[dict[str, Any]], Parsed | None], *, part: bool = False) -> Iterator[Parsed]:
    """What ``parse`` makes of the JSON object of every line; null is left out.

    Args:
        path: the file.
        parse: reads one object.
        part: whether the file is one of several, of which some may be empty.

    Raises:
        UserError: for a line that is none or that ``parse`` cannot read, or a file without lines.
    """
    found = strict(files.objects(path, parse, "is not a JSON object"), _ADVICE)
    return filter(None, found if part else some(found, EMPTY.format(path)))


def qrels(path: Path) -> dict[str, dict[str, int]]:
    """Grades above 0 by query and passage, in the order of the file; a query without any has an empty mapping.

    Of several judgements of one passage the last one counts.

    Raises:
        UserError: for a line that is no judgement, or when nothing is graded above 0.
    """
    found: dict[str, dict[str, int]] = {}
    changed = 0
    for query, passage, grade in texts(path, Judgements()):
        grades = found.setdefault(query, {})
        changed += grades.get(passage, grade) != grade
        grades[passage] = grade
    if changed:
        log.warning("%s judges %d passages twice and differently; the last judgement counts", path, changed)
    found = {query: above_zero(grades) for query, grades in found.items()}
    if not any(found.values()):
        raise UserError(f"{path} grades no passage above 0; nothing could be scored.")
    return found


class Judged:
    """The judgements of a split, from which its queries take theirs."""

    def __init__(self, path: Path) -> None:
        self._path, self._grades = path, qrels(path)
        self._asked: set[str] = set()
        self._repeated = 0

    def topic(self, query_id: str, text: Callable[[], str]) -> Topic | None:
        """The query of that identifier when it is judged, the first time that it comes; only then its text is read."""
        self._repeated += query_id in self._asked
        if query_id not in self._grades or query_id in self._asked:
            return None
        self._asked.add(query_id)
        return Topic(query_id, text(), grades=self._grades[query_id])

    def check(self, queries: Path) -> None:
        """Warn of identifiers that came twice.

        Raises:
            UserError: when a query with a relevant passage was none of the ``queries``.
        """
        if self._repeated:
            log.warning("%s: %d queries have the identifier of an earlier one; left out", queries, self._repeated)
        lost = [query for query, grades in self._grades.items() if grades and query not in self._asked]
        if lost:
            raise UserError(f"{self._path} names query {lost[0]!r}, which {queries} does not hold.")


def above_zero(grades: dict[str, int]) -> dict[str, int]:
    """The passages that are relevant."""
    return {passage: grade for passage, grade in grades.items() if grade > 0}
