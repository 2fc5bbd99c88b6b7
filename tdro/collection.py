"""A dataset in memory while it is prepared: each passage once, each query once.

Texts are normalised here: all white space, that of code too, becomes single spaces, and code points
that UTF-8 cannot hold become question marks.
"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tdro.artifacts import CORPUS, QUERIES, write_table
from tdro.config import Data
from tdro.sources import Passage, Row
from tdro.texts import identity, passage_text

# Han, kana: scripts without spaces, where a character counts as a word.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")


def normalise(text: str) -> str:
    """Text with single spaces."""
    return " ".join(text.encode("utf-8", "replace").decode("utf-8").split())


def count_words(text: str) -> int:
    """Number of words; a Chinese or Japanese character counts as one."""
    return sum(1 for _ in _WORD.finditer(text))


def cut(text: str, words: int | None) -> str:
    """The first ``words`` words of a text, or all of it for null."""
    if words is None or len(text) <= words:
        return text
    for number, match in enumerate(_WORD.finditer(text), start=1):
        if number == words:
            return text[: match.end()]
    return text


def _length(passage: Passage) -> int:
    return count_words(passage.title) + count_words(passage.text)


class Collection:
    """Queries and the passages they point to.

    Args:
        name: name of the dataset, from which identifiers are made where the source has none.
        data: limits on the length of texts.

    Attributes:
        passages: title and text of each passage.
        queries: text of each query.
        positives: for each query its passages' rows, without repetition, in the order met.
        negatives: the same of the negatives that the source provides, none of them a positive.
        named: rows of the passages that the source's own corpus lists.
        counts: what was read and what was dropped, in the order of first use.
    """

    def __init__(self, name: str, data: Data) -> None:
        self.name, self.data = name, data
        self.passages: list[tuple[str, str]] = []
        self.queries: list[str] = []
        self.positives: list[list[int]] = []
        self.negatives: list[list[int]] = []
        self.named: set[int] = set()
        self.counts: Counter[str] = Counter({"rows read": 0})
        self._passage_ids: list[str | None] = []
        self._query_ids: list[str | None] = []
        self._passage_rows: dict[str, int] = {}
        self._query_rows: dict[str, int] = {}

    def add_passage(self, passage: Passage) -> int | None:
        """Row of a passage, a new one if it was not met before; null when it is empty."""
        title, text = normalise(passage.title), cut(normalise(passage.text), self.data.max_words)
        if not title and not text:
            return None
        key = identity(passage_text(title, text))
        row = self._passage_rows.setdefault(key, len(self.passages))
        if row == len(self.passages):
            self.passages.append((title, text))
            self._passage_ids.append(passage.passage_id)
        return row

    def add_row(self, row: Row, *, filtered: bool) -> None:
        """Add an example; a query met before gets further passages.

        Args:
            row: what the reader yields.
            filtered: drop short texts and positives equal to their query; else only empty ones go.
        """
        self.counts["rows read"] += 1
        query = normalise(row.query)
        fewest = max(1, self.data.min_words if filtered else 1)
        if count_words(query) < fewest:
            self.counts["query too short"] += 1
            return
        kept = [p for p in row.positives if _length(p) >= fewest]
        if not kept:
            self.counts["positive too short"] += 1
            return
        if filtered:
            kept = [p for p in kept if identity(p.text) != identity(query)]
        if not kept:
            self.counts["positive equals query"] += 1
            return
        self._link(query, row, kept, [p for p in row.negatives if _length(p) >= fewest])

    def _link(self, query: str, row: Row, positives: list[Passage], negatives: list[Passage]) -> None:
        index = self._query_rows.setdefault(identity(query), len(self.queries))
        if index == len(self.queries):
            self.queries.append(query)
            self._query_ids.append(row.query_id)
            self.positives.append([])
            self.negatives.append([])
        else:
            self.counts["merged with an equal query"] += 1
        for passages, rows in ((positives, self.positives[index]), (negatives, self.negatives[index])):
            added = [self.add_passage(passage) for passage in passages]
            rows.extend(dict.fromkeys(r for r in added if r is not None and r not in rows))

    def drop_false_negatives(self) -> None:
        """Remove negatives that are positives of the same query, which merging may have made."""
        for positives, negatives in zip(self.positives, self.negatives, strict=True):
            kept = [row for row in negatives if row not in positives]
            if len(kept) < len(negatives):
                self.counts["negative equals positive"] += len(negatives) - len(kept)
            negatives[:] = kept

    def write(
        self,
        folder: Path,
        queries: Iterable[int],
        passages: Iterable[int],
        *,
        negatives: bool = False,
        counts: dict[str, int] | None = None,
    ) -> None:
        """Write ``corpus.parquet`` and ``queries.parquet`` of the given rows, in their own order.

        Args:
            folder: where to.
            queries: rows of the queries; their positives must be among the passages.
            passages: rows of the passages.
            negatives: list the provided negatives, those that are among the passages; else none.
            counts: stored in the metadata of ``queries.parquet``.
        """
        queries, passages = sorted(queries), sorted(passages)
        place = {row: new for new, row in enumerate(passages)}
        corpus = {
            "passage_id": self._ids(self._passage_ids, passages, "p"),
            "title": [self.passages[row][0] for row in passages],
            "text": [self.passages[row][1] for row in passages],
        }
        table = {
            "query_id": self._ids(self._query_ids, queries, "q"),
            "query": [self.queries[row] for row in queries],
            "positives": [[place[p] for p in self.positives[row]] for row in queries],
            "negatives": [[place[n] for n in self.negatives[row] if negatives and n in place] for row in queries],
        }
        write_table(folder / "corpus.parquet", corpus, CORPUS)
        write_table(folder / "queries.parquet", table, QUERIES, counts=counts)

    def _ids(self, given: list[str | None], rows: list[int], letter: str) -> list[str]:
        """The source's identifiers, and ours where it has none or uses one twice."""
        own, taken = {row: normalise(given[row] or "") or f"{self.name}-{letter}{row}" for row in rows}, set()
        for row in rows:
            if own[row] in taken:
                own[row] = f"{self.name}-{letter}{row}"
            taken.add(own[row])
        return list(own.values())
