"""A dataset while it is prepared: each passage once, each query once; texts on disk, integers in memory.

Texts are normalised here: all white space, that of code too, becomes single spaces, and code points
that UTF-8 cannot hold become question marks. Texts are equal when their 64-bit keys are
(:func:`tdro.texts.text_key`); the first of equal ones is kept.
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tdro.artifacts import CORPUS, QUERIES, table_writer
from tdro.config import Data
from tdro.keys import KeyRows
from tdro.lists import Lists
from tdro.sources import Passage, PassageId, Row
from tdro.spool import Distinct
from tdro.texts import count_words, cut, exact_key, key_array, normalise, passage_text, text_key

# What is counted while reading, in the order in which it is shown.
_COUNTS = (
    "rows read",
    "query too short",
    "positive too short",
    "positive equals query",
    "merged with an equal query",
    "negative equals positive",
)


class _Candidate(NamedTuple):
    """A passage of a row before it is decided whether to keep it.

    ``words`` and ``key`` are those of the whole text; of a passage that is stored already, ``row``
    says where.
    """

    words: int
    key: bytes
    passage: Passage | None = None
    row: int = -1


class Collection:
    """Queries and the passages they point to.

    Args:
        name: name of the dataset, from which identifiers are made where the source has none.
        data: limits on the length of texts.
        folder: where the nameless files of texts lie.
        filtered: drop short texts and positives equal to their query; else only empty ones go.

    Attributes:
        positives: for each query its passages' rows, without repetition, in the order met.
        negatives: the same of the negatives that the source provides, none of them a positive.
        named: rows of the passages that the source's own corpus lists.
        counts: what was read and what was dropped.

    All but the counts are there after :meth:`finish`.
    """

    def __init__(self, name: str, data: Data, folder: Path, *, filtered: bool) -> None:
        self.name, self.data, self.filtered = name, data, filtered
        self.counts: Counter[str] = Counter()
        self._fewest = max(1, data.min_words if filtered else 1)
        self._queries = Distinct(folder, ("id", "query"))
        self._passages = Distinct(folder, ("id", "title", "text"))
        self._positives, self._negatives = _Pairs(), _Pairs()
        self._listed = _Listed()

    def add_passage(self, passage: Passage) -> None:
        """Add a passage of the source's own corpus; an empty one is left out."""
        candidate = self._candidate(passage)
        place = self._store(candidate) if candidate.words else None
        self._listed.add(passage.passage_id, candidate, place)
        self._flush_full()

    def add_row(self, row: Row) -> None:
        """Add an example; a query met before gets further passages.

        Raises:
            KeyError: for an identifier of a passage that was not added before.
        """
        self.counts["rows read"] += 1
        query = normalise(row.query)
        if count_words(query) < self._fewest:
            self.counts["query too short"] += 1
            return
        key = text_key(query)
        kept = self._long_enough(row.positives)
        if not kept:
            self.counts["positive too short"] += 1
            return
        if self.filtered:
            kept = [candidate for candidate in kept if candidate.key != key]
        if not kept:
            self.counts["positive equals query"] += 1
            return
        negatives = self._long_enough(row.negatives)  # may flush, so that it comes before the row has a place
        owner = self._queries.add(key, (_identifier(row.query_id), query))
        self._positives.add(owner, map(self._member, kept))
        self._negatives.add(owner, map(self._member, negatives))
        self._flush_full()

    def finish(self) -> None:
        """End reading: bring the lists in the order of the queries and remove false negatives.

        Those are negatives that are positives of the same query, which merging may have made.
        """
        self._flush()
        total = len(self._queries)
        self.positives = self._positives.lists(total)
        negatives = self._negatives.lists(total)
        self.negatives = negatives.without(self.positives)
        self.counts["negative equals positive"] = len(negatives.values) - len(self.negatives.values)
        self.named = self._listed.rows()
        self.counts = Counter({key: self.counts[key] for key in _COUNTS if self.counts[key] or key == "rows read"})

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
            identifiers = _Identifiers(f"{self.name}-p")
            for rows, batch in self._passages.spool.select(passages):
                ids = identifiers.of(rows, batch["id"].to_pylist())
                file.append({"passage_id": ids, "title": batch["title"], "text": batch["text"]})
        place = np.full(self.passages, -1, dtype=np.int32)
        place[passages] = np.arange(len(passages))
        with table_writer(folder / "queries.parquet", QUERIES, counts) as file:
            identifiers = _Identifiers(f"{self.name}-q")
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
        passage = Passage(normalise(passage.text), normalise(passage.title), _identifier(passage.passage_id))
        return _Candidate(count_words(passage.title) + count_words(passage.text), text_key(passage.text), passage)

    def _long_enough(self, passages: Iterable[Passage | PassageId]) -> list[_Candidate]:
        return [candidate for candidate in map(self._candidate, passages) if candidate.words >= self._fewest]

    def _member(self, candidate: _Candidate) -> int:
        """Row of a stored passage; of a new one ``-1 - place``, its place in the block that waits."""
        return candidate.row if candidate.passage is None else -1 - self._store(candidate)

    def _store(self, candidate: _Candidate) -> int:
        text, title, passage_id = candidate.passage
        shown = cut(text, self.data.max_words)
        same = not title and shown == text
        key = candidate.key if same else text_key(passage_text(title, shown))
        return self._passages.add(key, (passage_id, title, shown))

    def _flush_full(self) -> None:
        if self._queries.full or self._passages.full:
            self._flush()

    def _flush(self) -> None:
        queries, new = self._queries.flush()
        self.counts["merged with an equal query"] += len(queries) - new
        passages, _ = self._passages.flush()
        self._positives.flush(queries, passages)
        self._negatives.flush(queries, passages)
        self._listed.flush(passages)


class _Pairs:
    """Pairs of a query's row and a passage's, in the order met."""

    def __init__(self) -> None:
        self._owners, self._members = array("i"), array("i")
        self._waiting: tuple[list[int], list[int]] = [], []

    def add(self, owner: int, members: Iterable[int]) -> None:
        """Pair a query, by its place in the waiting block, with members as :meth:`Collection._member` gives them."""
        before = len(self._waiting[1])
        self._waiting[1].extend(members)
        self._waiting[0].extend([owner] * (len(self._waiting[1]) - before))

    def flush(self, queries: np.ndarray, passages: np.ndarray) -> None:
        """Turn places in the block into rows."""
        owners, members = (np.array(column, dtype=np.int32) for column in self._waiting)
        new = members < 0
        members[new] = passages[-1 - members[new]]
        self._owners.frombytes(queries[owners].tobytes())
        self._members.frombytes(members.tobytes())
        self._waiting = [], []

    def lists(self, total: int) -> Lists:
        """The passages of each of ``total`` queries."""
        owners, members = (np.frombuffer(column, dtype=np.int32) for column in (self._owners, self._members))
        return Lists.from_pairs(owners, members, total)


class _Listed:
    """Passages of the source's own corpus, by identifier: of equal identifiers the first counts."""

    def __init__(self) -> None:
        self._by_id = KeyRows()
        self._rows, self._words, self._keys, self._named = array("i"), array("i"), array("Q"), array("i")
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
        for place in new:
            _, candidate, row = found[place]
            self._rows.append(row)
            self._words.append(candidate.words)
            self._keys.frombytes(candidate.key)
        self.waiting = []

    def find(self, passage_id: str) -> _Candidate:
        """What is known of a passage."""
        entry = int(self._by_id.find(key_array([exact_key(passage_id)]))[0])
        if entry < 0:
            raise KeyError(f"no passage {passage_id!r} came before the row that names it")
        key = self._keys[entry : entry + 1].tobytes()
        return _Candidate(self._words[entry], key, row=self._rows[entry])

    def rows(self) -> np.ndarray:
        """Rows of all of them, rising."""
        return np.unique(np.frombuffer(self._named, dtype=np.int32))


class _Identifiers:
    """The source's identifiers, and ours where it has none or uses one twice."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._taken = KeyRows()

    def of(self, rows: np.ndarray, given: list[str | None]) -> list[str]:
        """Identifiers of the next rows."""
        made = [f"{self._prefix}{row}" for row in rows]
        ids = [own or other for own, other in zip(given, made, strict=True)]
        _, new = self._taken.add(key_array(map(exact_key, ids)))
        repeated = np.setdiff1d(np.arange(len(ids)), new)
        for place in repeated:
            ids[place] = made[place]
        self._taken.add(key_array(exact_key(made[place]) for place in repeated))
        return ids


def _identifier(given: str | None) -> str | None:
    return normalise(given) or None if given else None


def _moved(lists: Lists, place: np.ndarray) -> Lists:
    """Lists of the passages' new rows; those without one go."""
    moved = Lists(place[lists.values], lists.starts)
    return moved.where(moved.values >= 0)
