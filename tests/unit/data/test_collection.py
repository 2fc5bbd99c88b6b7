"""The collection against one in memory."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import CORPUS, QUERIES
from tdro.config.data import Data
from tdro.data import spool
from tdro.data.collection import Collection
from tdro.readers.base import Passage, PassageId, Row
from tdro.text.relations import said, written
from tdro.text.strings import count_words, cut

WORDS = ["a", "A", "b", "b.", "c d", "c\n  d", "e f g", "e F g.", "", " ", "\u200b", "中文", "!", "e\u0301", "é"]
texts = st.sampled_from(WORDS)
passages = st.builds(Passage, texts, st.sampled_from(["", "T", "t"]), st.sampled_from([None, "x", "y"]))
own_passages = st.builds(Passage, texts, st.sampled_from(["", "T"]), st.sampled_from(["1", "2", "3", "4"]))


def rows_naming(known):
    """Rows whose passages are written out or name one of the corpus."""
    named = [PassageId(passage.passage_id) for passage in known]
    one = st.one_of(passages, st.sampled_from(named)) if named else passages
    some = st.lists(one, max_size=3)
    return st.lists(st.builds(Row, texts, some, some, st.none()), max_size=12)


streams = st.lists(own_passages, max_size=5).flatmap(lambda known: rows_naming(known).map(lambda rows: (known, rows)))


def words(text):
    return count_words(text) if written(text) else 0


class InMemory:
    """What the collection does, with dictionaries of whole texts and no blocks."""

    def __init__(self, known, rows, data, filtered):
        self.data, self.passages, self.queries, self.counts = data, {}, {}, dict.fromkeys(COUNTED, 0)
        self.fewest = max(1, data.min_words if filtered else 1)
        by_id = {}
        for passage in known:
            self.counts["passage with an identifier used before"] += passage.passage_id in by_id
            by_id.setdefault(passage.passage_id, passage)
            self.counts["empty passage of the corpus"] += self.store(passage) is None
        for row in rows:
            self.counts["rows read"] += 1
            resolve = [[by_id[p.passage_id] if isinstance(p, PassageId) else p for p in side] for side in row[1:3]]
            self.add(row.query, *resolve)
        if filtered:
            self.drop_echoes()
        self.drop_false_negatives()

    def long_enough(self, passages, otherwise):
        kept = [p for p in passages if words(p.title) + words(p.text) >= self.fewest]
        self.counts[otherwise] += len(passages) - len(kept)
        return kept

    def add(self, query, positives, negatives):
        if words(query) < self.fewest:
            self.counts["query too short"] += 1
            return
        positives = self.long_enough(positives, "positive too short")
        if not positives:
            self.counts["row without a positive left"] += 1
            return
        negatives = self.long_enough(negatives, "negative too short")
        self.counts["merged with an equal query"] += written(query) in self.queries
        entry = self.queries.setdefault(written(query), (query, {}, {}))
        for side, members in ((entry[1], positives), (entry[2], negatives)):
            side.update(dict.fromkeys(map(self.store, members)))

    def store(self, passage):
        text = cut(passage.text, self.data.max_words)
        key = written(f"{passage.title} {text}")
        if not key:
            return None
        self.passages.setdefault(key, (passage.title, text))
        return key

    def drop_echoes(self):
        for query, positives, _ in self.queries.values():
            same = [key for key in positives if said(self.passages[key][1]) == said(query)]
            self.counts["positive says the same as the query"] += len(same)
            if self.data.drop_echoes != "none":
                for key in same:
                    del positives[key]
            self.counts["query with no other positive"] += not positives

    def drop_false_negatives(self):
        for query, _, negatives in self.queries.values():
            wordings = [entry for entry in self.queries.values() if said(entry[0]) == said(query)]
            right = {said(query), *(said(key) for entry in wordings for key in entry[1])}
            for key in [key for key in negatives if said(key) in right]:
                del negatives[key]
                self.counts["negative says the same as the query or a positive"] += 1

    def lists(self):
        order = {key: row for row, key in enumerate(self.passages)}
        return tuple([[order[key] for key in entry[side]] for entry in self.queries.values()] for side in (1, 2))


COUNTED = [
    "rows read",
    "query too short",
    "positive too short",
    "negative too short",
    "row without a positive left",
    "merged with an equal query",
    "positive says the same as the query",
    "query with no other positive",
    "negative says the same as the query or a positive",
    "empty passage of the corpus",
    "passage with an identifier used before",
]


def row(query, positive, negative, title=""):
    return Row(query, [Passage(positive, title, None)], [Passage(negative, "", None)], None)


#: Queries and passages that are the same, that say the same, and that differ in a title or a sign alone.
ALIKE = [
    row("où est-il?", "Là.", "là"),
    row("ou\u0300 est-il", "derrière", "LÀ"),
    row("ou\u0300  est-il\u200b", "derrie\u0300re", "ailleurs"),
    row("x = 'y'", "1,000", "1.000"),
    row("x = y", "1.000", "1,000", title="T"),
]


@example(([], ALIKE), 1, None, True, 4, "same")
@settings(max_examples=150, suppress_health_check=["function_scoped_fixture"])
@given(
    streams,
    st.integers(1, 2),
    st.sampled_from([None, 1]),
    st.booleans(),
    st.integers(1, 4),
    st.sampled_from(["none", "same"]),
)
def test_a_collection_holds_what_one_in_memory_would(
    monkeypatch, tmp_path_factory, stream, fewest, most, filtered, size, echoes
):
    monkeypatch.setattr(spool, "_MOST_RECORDS", size)
    folder, data = tmp_path_factory.mktemp("out"), Data(min_words=fewest, max_words=most, drop_echoes=echoes)
    expected = InMemory(*stream, data, filtered)
    collection = Collection("toy", data, folder, filtered=filtered)
    for passage in stream[0]:
        collection.add_passage(passage)
    for row in stream[1]:
        collection.add_row(row)
    collection.finish()
    everything = np.arange(collection.queries), np.arange(collection.passages)
    collection.write(folder, *everything, negatives=True)
    collection.close()
    queries = read_table(folder / "queries.parquet", QUERIES).to_pydict()
    corpus = read_table(folder / "corpus.parquet", CORPUS).to_pydict()
    assert list(zip(corpus["title"], corpus["text"], strict=True)) == list(expected.passages.values())
    assert queries["query"] == [entry[0] for entry in expected.queries.values()]
    assert (queries["positives"], queries["negatives"]) == expected.lists()
    assert {key: collection.counts[key] for key in COUNTED} == expected.counts
    assert len(set(corpus["passage_id"])) == len(corpus["passage_id"])
    assert sorted(file.name for file in folder.iterdir()) == ["corpus.parquet", "queries.parquet"]


def test_an_unknown_identifier_is_an_error_of_the_reader(tmp_path):
    collection = Collection("toy", Data(), tmp_path, filtered=True)
    collection.add_passage(Passage("text", "", "1"))
    with pytest.raises(KeyError, match="no passage '2' came before"):
        collection.add_row(Row("q", [PassageId("2")]))
