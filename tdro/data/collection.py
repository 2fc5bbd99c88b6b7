"""A dataset while it is prepared: each passage once, each query once; texts on disk, integers in memory.

Texts are stored as they come, line breaks and indentation included; only control characters and code points
that UTF-8 cannot hold are mended. Of texts that are the same (:mod:`tdro.text.relations`, by 64-bit keys) the first
is kept.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tdro.artifacts.files import table_writer
from tdro.artifacts.lists import Lists
from tdro.artifacts.schemas import CORPUS, QUERIES
from tdro.config.data import Data
from tdro.data.echoes import Said, find_echoes, read_said
from tdro.data.identifiers import Identifiers, Listed, clean
from tdro.data.spool import Pairs, Spool
from tdro.readers.base import Passage, PassageId, Row
from tdro.text.relations import written, written_key
from tdro.text.strings import count_words, cut, mended, passage_text

#: Positives that say the same as their query, and those that nearly do, kept or not (:mod:`tdro.data.echoes`).
ECHOES = ("positive says the same as the query", "positive nearly says the same as the query")

# What is counted while reading, in the order in which it is shown. Queries and rows are dropped, passages are dropped
# from a row, merged or cut.
_COUNTS = (
    "rows read",
    "query too short",
    "positive too short",
    "negative too short",
    "row without a positive left",
    "merged with an equal query",
    *ECHOES,
    "query with no other positive",
    "negative says the same as the query or a positive",
    "empty passage of the corpus",
    "passage with an identifier used before",
    "merged with an equal passage",
    "passage cut",
)


class _Candidate(NamedTuple):
    """A passage of a row before it is decided whether to keep it.

    ``words`` are those of the whole text; a passage that is stored already has its ``number`` instead.
    """

    words: int
    passage: Passage | None = None
    number: int = -1


class Collection:
    """Queries and the passages they point to.

    Args:
        name: name of the dataset, from which identifiers are made where the source has none.
        data: limits on the length of texts.
        folder: where the nameless files of texts lie.
        filtered: drop short texts and positives that echo their query; else only empty ones go.

    Attributes:
        positives: for each query its passages' rows, without repetition, in the order met; none where all
            of them echoed the query.
        negatives: the same of the negatives that the source provides, none of which says the same as the query or
            a positive of it or of a query that says the same.
        named: rows of the passages that the source's own corpus lists.
        pairs: number of pairs of a query and a positive, echoes among them.
        counts: what was read and what was dropped.

    All but the counts are there after :meth:`finish`.
    """

    def __init__(self, name: str, data: Data, folder: Path, *, filtered: bool) -> None:
        self.name, self.data, self.filtered = name, data, filtered
        self.counts: Counter[str] = Counter()
        self._fewest = max(1, data.min_words if filtered else 1)
        self._queries = Spool(folder, ("id", "query"))
        self._passages = Spool(folder, ("id", "title", "text"))
        self._positives, self._negatives = Pairs(), Pairs()
        self._listed = Listed()

    def add_passage(self, passage: Passage) -> None:
        """Add a passage of the source's own corpus; an empty one is left out."""
        candidate = self._candidate(passage)
        number = self._store(candidate.passage) if candidate.words else -1
        self.counts["empty passage of the corpus"] += number < 0
        self._listed.add(passage.passage_id, candidate.words, number)
        self._flush_full()

    def add_row(self, row: Row) -> None:
        """Add an example; a query met before gets further passages.

        Raises:
            KeyError: for an identifier of a passage that was not added before.
        """
        self.counts["rows read"] += 1
        query = mended(row.query)
        if _words(query) < self._fewest:
            self.counts["query too short"] += 1
            return
        positives = self._long_enough(row.positives, "positive too short")
        if not positives:
            self.counts["row without a positive left"] += 1
            return
        negatives = self._long_enough(row.negatives, "negative too short")
        owner = self._queries.add(written_key(query), (clean(row.query_id), query))
        self._positives.add(owner, list(map(self._number, positives)))
        self._negatives.add(owner, list(map(self._number, negatives)))
        self._flush_full()

    def finish(self) -> None:
        """End reading: bring the lists in the order of the queries; remove echoes and false negatives."""
        self._flush()
        for spool, name in ((self._queries, "query"), (self._passages, "passage")):
            self.counts[f"merged with an equal {name}"] = len(spool.rows) - len(spool)
        self.positives, self.negatives = (
            pairs.lists(self._queries, self._passages) for pairs in (self._positives, self._negatives)
        )
        self.named = np.unique(self._passages.rows[np.frombuffer(self._listed.named, dtype=np.int32)])
        self.counts["passage with an identifier used before"] = self._listed.repeated
        asked = read_said(self._queries, ("query",), np.arange(self.queries), self.queries)
        if self.filtered:
            self._drop_echoes(asked)
        self._drop_false_negatives(asked.keys)
        self.counts = Counter({key: self.counts[key] for key in _COUNTS if self.counts[key] or key == "rows read"})

    def _drop_echoes(self, asked: Said) -> None:
        used = np.unique(self.positives.values)
        told = read_said(self._passages, ("text",), used, self.passages)
        kinds = find_echoes(self.positives, self._queries, self._passages, asked, told)
        for kind, name in zip((2, 1), ECHOES, strict=True):
            self.counts[name] = int(np.count_nonzero(kinds == kind))
        self.pairs = len(kinds)
        self.positives = self.positives.where(kinds < {"none": 3, "same": 2, "near": 1}[self.data.drop_echoes])
        self.counts["query with no other positive"] = int(np.count_nonzero(self.positives.lengths == 0))

    def _drop_false_negatives(self, asked: np.ndarray) -> None:
        """Remove negatives that say the same as the query, or as a positive of it or of a query that says the same."""
        before = len(self.negatives.values)
        if not before:
            return
        used = np.union1d(self.positives.values, self.negatives.values)
        told = read_said(self._passages, ("title", "text"), used, self.passages).keys
        numbers = np.unique(told, return_inverse=True)[1].astype(np.int32)
        wording = np.unique(asked, return_inverse=True)[1]  # of queries that say the same, one's positives are all's
        right = Lists.from_pairs(wording[self.positives.owners()], numbers[self.positives.values], len(asked))
        unlike = Lists(numbers[self.negatives.values], self.negatives.starts).missing(right.take(wording))
        kept = unlike & (told[self.negatives.values] != asked[self.negatives.owners()])
        self.negatives = self.negatives.where(kept)
        self.counts["negative says the same as the query or a positive"] = before - len(self.negatives.values)

    @property
    def queries(self) -> int:
        """Number of distinct queries."""
        return len(self._queries)

    @property
    def passages(self) -> int:
        """Number of distinct passages."""
        return len(self._passages)

    def close(self) -> None:
        """Give the disk space back."""
        self._queries.close()
        self._passages.close()

    def write(
        self,
        folder: Path,
        queries: np.ndarray,
        passages: np.ndarray,
        *,
        negatives: bool = False,
        counts: dict[str, int] | None = None,
    ) -> None:
        """Write ``corpus.parquet`` and ``queries.parquet`` of the given rows, in their own order.

        Args:
            folder: where to.
            queries: rows of the queries, rising; their positives must be among the passages.
            passages: rows of the passages, rising.
            negatives: list the provided negatives, those that are among the passages; else none.
            counts: stored in the metadata of ``queries.parquet``.
        """
        with table_writer(folder / "corpus.parquet", CORPUS) as file:
            identifiers = Identifiers(f"{self.name}-p")
            for rows, batch in self._passages.select(passages):
                ids = identifiers.of(rows, batch["id"].to_pylist())
                file.append({"passage_id": ids, "title": batch["title"], "text": batch["text"]})
        place = np.full(self.passages, -1, dtype=np.int32)
        place[passages] = np.arange(len(passages))
        with table_writer(folder / "queries.parquet", QUERIES, counts) as file:
            identifiers = Identifiers(f"{self.name}-q")
            for rows, batch in self._queries.select(queries):
                lists = [_moved(self.positives.take(rows), place), _moved(self.negatives.take(rows), place)]
                if not negatives:
                    lists[1] = lists[1].where(np.zeros(len(lists[1].values), dtype=bool))
                ids = identifiers.of(rows, batch["id"].to_pylist())
                columns = {"positives": lists[0].arrow(), "negatives": lists[1].arrow()}
                file.append({"query_id": ids, "query": batch["query"], **columns})

    def _candidate(self, passage: Passage | PassageId) -> _Candidate:
        if isinstance(passage, PassageId):
            if self._listed.waiting:
                self._flush()
            words, number = self._listed.find(passage.passage_id)
            return _Candidate(words, number=number)
        passage = Passage(mended(passage.text), mended(passage.title), clean(passage.passage_id))
        return _Candidate(_words(passage.title) + _words(passage.text), passage)

    def _long_enough(self, passages: Iterable[Passage | PassageId], otherwise: str) -> list[_Candidate]:
        candidates = [self._candidate(passage) for passage in passages]
        kept = [candidate for candidate in candidates if candidate.words >= self._fewest]
        self.counts[otherwise] += len(candidates) - len(kept)
        return kept

    def _number(self, candidate: _Candidate) -> int:
        """Number of a passage in the spool, where a new one is stored."""
        return candidate.number if candidate.passage is None else self._store(candidate.passage)

    def _store(self, passage: Passage) -> int:
        text, title, passage_id = passage
        shown = cut(text, self.data.max_words)
        self.counts["passage cut"] += len(shown.rstrip()) < len(text.rstrip())
        return self._passages.add(written_key(passage_text(title, shown)), (passage_id, title, shown))

    def _flush_full(self) -> None:
        if self._queries.full or self._passages.full:
            self._flush()

    def _flush(self) -> None:
        for part in (self._queries, self._passages, self._listed):
            part.flush()


def _words(text: str) -> int:
    """Number of words; a text of nothing but invisible characters has none."""
    return count_words(text) if text.isascii() or written(text) else 0


def _moved(lists: Lists, place: np.ndarray) -> Lists:
    """Lists of the passages' new rows; those without one go."""
    moved = Lists(place[lists.values], lists.starts)
    return moved.where(moved.values >= 0)
