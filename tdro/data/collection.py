"""A dataset while it is prepared: each passage once, each query once; texts on disk, integers in memory.

Texts are stored as they come, line breaks and indentation included; only control characters and code points
that UTF-8 cannot hold are mended. Of texts that are the same (:mod:`tdro.text.relations`, by 64-bit keys) the first
is kept.
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tdro.artifacts.files import table_writer
from tdro.artifacts.lists import Lists, Pairs
from tdro.artifacts.schemas import CORPUS, QUERIES
from tdro.config.data import Data
from tdro.data.echoes import Said, find_echoes, read_said
from tdro.data.identifiers import Identifiers, clean
from tdro.data.keys import KeyRows
from tdro.data.spool import Distinct
from tdro.readers.base import Passage, PassageId, Row
from tdro.text.relations import written, written_key
from tdro.text.strings import count_words, cut, exact_key, key_array, mended, passage_text

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

    ``words`` are those of the whole text; of a passage that is stored already, ``row`` says where.
    """

    words: int
    passage: Passage | None = None
    row: int = -1


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
        self._queries = Distinct(folder, ("id", "query"))
        self._passages = Distinct(folder, ("id", "title", "text"))
        self._positives, self._negatives = Pairs(), Pairs()
        self._listed = _Listed()

    def add_passage(self, passage: Passage) -> None:
        """Add a passage of the source's own corpus; an empty one is left out."""
        candidate = self._candidate(passage)
        place = self._store(candidate) if candidate.words else None
        self.counts["empty passage of the corpus"] += place is None
        self._listed.add(passage.passage_id, candidate, place)
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
        # This may flush, so that it comes before the row has a place.
        negatives = self._long_enough(row.negatives, "negative too short")
        owner = self._queries.add(written_key(query), (clean(row.query_id), query))
        self._positives.add(owner, map(self._member, positives))
        self._negatives.add(owner, map(self._member, negatives))
        self._flush_full()

    def finish(self) -> None:
        """End reading: bring the lists in the order of the queries; remove echoes and false negatives."""
        self._flush()
        total = len(self._queries)
        self.positives, self.negatives = self._positives.lists(total), self._negatives.lists(total)
        self.named = self._listed.rows()
        self.counts["passage with an identifier used before"] = self._listed.repeated
        asked = read_said(self._queries.spool, ("query",), np.arange(total), total)
        if self.filtered:
            self._drop_echoes(asked)
        self._drop_false_negatives(asked.keys)
        self.counts = Counter({key: self.counts[key] for key in _COUNTS if self.counts[key] or key == "rows read"})

    def _drop_echoes(self, asked: Said) -> None:
        used = np.unique(self.positives.values)
        told = read_said(self._passages.spool, ("text",), used, self.passages)
        spools = self._queries.spool, self._passages.spool
        kinds = find_echoes(self.positives, *spools, asked, told)
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
        told = read_said(self._passages.spool, ("title", "text"), used, self.passages).keys
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
        self._queries.spool.close()
        self._passages.spool.close()

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
            for rows, batch in self._passages.spool.select(passages):
                ids = identifiers.of(rows, batch["id"].to_pylist())
                file.append({"passage_id": ids, "title": batch["title"], "text": batch["text"]})
        place = np.full(self.passages, -1, dtype=np.int32)
        place[passages] = np.arange(len(passages))
        with table_writer(folder / "queries.parquet", QUERIES, counts) as file:
            identifiers = Identifiers(f"{self.name}-q")
            for rows, batch in self._queries.spool.select(queries):
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
            return self._listed.find(passage.passage_id)
        passage = Passage(mended(passage.text), mended(passage.title), clean(passage.passage_id))
        return _Candidate(_words(passage.title) + _words(passage.text), passage)

    def _long_enough(self, passages: Iterable[Passage | PassageId], otherwise: str) -> list[_Candidate]:
        candidates = [self._candidate(passage) for passage in passages]
        kept = [candidate for candidate in candidates if candidate.words >= self._fewest]
        self.counts[otherwise] += len(candidates) - len(kept)
        return kept

    def _member(self, candidate: _Candidate) -> int:
        """Row of a stored passage; of a new one ``-1 - place``, its place in the block that waits."""
        return candidate.row if candidate.passage is None else -1 - self._store(candidate)

    def _store(self, candidate: _Candidate) -> int:
        text, title, passage_id = candidate.passage
        shown = cut(text, self.data.max_words)
        self.counts["passage cut"] += len(shown.rstrip()) < len(text.rstrip())
        return self._passages.add(written_key(passage_text(title, shown)), (passage_id, title, shown))

    def _flush_full(self) -> None:
        if self._queries.full or self._passages.full:
            self._flush()

    def _flush(self) -> None:
        queries, new = self._queries.flush()
        self.counts["merged with an equal query"] += len(queries) - new
        passages, new = self._passages.flush()
        self.counts["merged with an equal passage"] += len(passages) - new
        self._positives.flush(queries, passages)
        self._negatives.flush(queries, passages)
        self._listed.flush(passages)


class _Listed:
    """Passages of the source's own corpus, by identifier: of equal identifiers the first counts."""

    def __init__(self) -> None:
        self._by_id = KeyRows()
        self._rows, self._words, self._named = array("i"), array("i"), array("i")
        self.repeated = 0
        self.waiting: list[tuple[str | None, _Candidate, int | None]] = []

    def add(self, passage_id: str | None, candidate: _Candidate, place: int | None) -> None:
        """Enter a passage and its place in the waiting block, null for an empty one."""
        self.waiting.append((passage_id, candidate, place))

    def flush(self, passages: np.ndarray) -> None:
        """Turn places in the block into rows."""
        found = [(i, c, -1 if place is None else int(passages[place])) for i, c, place in self.waiting]
        self._named.extend(row for _, _, row in found if row >= 0)
        found = [entry for entry in found if entry[0] is not None]
        _, new = self._by_id.add(key_array(exact_key(i) for i, _, _ in found))
        self.repeated += len(found) - len(new)
        for place in new:
            _, candidate, row = found[place]
            self._rows.append(row)
            self._words.append(candidate.words)
        self.waiting = []

    def find(self, passage_id: str) -> _Candidate:
        """What is known of a passage."""
        entry = int(self._by_id.find(key_array([exact_key(passage_id)]))[0])
        if entry < 0:
            raise KeyError(f"no passage {passage_id!r} came before the row that names it")
        return _Candidate(self._words[entry], row=self._rows[entry])

    def rows(self) -> np.ndarray:
        """Rows of all of them, rising."""
        return np.unique(np.frombuffer(self._named, dtype=np.int32))


def _words(text: str) -> int:
    """Number of words; a text of nothing but invisible characters has none."""
    return count_words(text) if text.isascii() or written(text) else 0


def _moved(lists: Lists, place: np.ndarray) -> Lists:
    """Lists of the passages' new rows; those without one go."""
    moved = Lists(place[lists.values], lists.starts)
    return moved.where(moved.values >= 0)
