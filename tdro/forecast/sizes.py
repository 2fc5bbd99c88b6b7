"""How many texts each dataset has, and how long they are.

Where a dataset is prepared, its rows are counted and some of its texts are read. Else the registry's ``expected_rows``
hold, and what they leave out is assumed. Every :class:`Texts` says which of the three it is.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from tdro.artifacts.layout import Layout, whole
from tdro.config.registry import ExpectedRows
from tdro.pipeline.jobs import Jobs

#: What is taken for a dataset that is neither prepared nor described by ``expected_rows``.
ASSUMED = ExpectedRows(queries=100_000, passages=100_000, query_words=10, passage_words=80)
#: How a size is known, the best first: counted, as the registry expects it, the number alone expected, assumed.
COUNTED, EXPECTED, NUMBER, NOTHING = "counted", "expected", "number", "nothing"
#: Parquet with its compression, beside the texts as they are.
COMPRESSED = 0.5
# Bytes of an English word with its space.
_WORD = 6
# Texts of a file that are read to see how long they are, at so many places; and of all files, for each tokenizer once:
# a forecast stands at the start of every run, and must take no time.
_SAMPLE, _PLACES, _ALL = 64, 4, 4000
# A row group of so many rows is read as a whole, of a larger one its beginning.
_SMALL = 20_000


class Texts(NamedTuple):
    """Texts of one side of a dataset.

    Attributes:
        number: How many there are.
        sample: Some of them, where they are prepared.
        words: Their mean number of words, where they are not.
        known: One of ``COUNTED``, ``EXPECTED``, ``NUMBER``, ``NOTHING``.
    """

    number: int
    sample: tuple[str, ...] = ()
    words: float = 0.0
    known: str = COUNTED


class TaskTexts(NamedTuple):
    """The texts of a task; ``rows`` are those that may be trained on."""

    queries: Texts
    passages: Texts
    rows: int
    held_out_queries: Texts
    held_out_passages: Texts


class Sizes:
    """The texts of all datasets of a configuration.

    Args:
        jobs: Its jobs.
        layout: Where its results lie, as far as there are any.
    """

    def __init__(self, jobs: Jobs, layout: Layout) -> None:
        self._jobs, self._layout = jobs, layout
        files = 4 * len(jobs.tasks) + len(jobs.tests.corpora) + len(jobs.tests.chosen)
        bases = {jobs.config.mining.encode.model, *(model.base for model in jobs.config.models)}
        self._sample = max(_PLACES, min(_SAMPLE, _ALL // (files * len(bases))))
        self.task, self.corpus, self.queries = cache(self._task), cache(self._corpus), cache(self._queries)

    def all(self) -> Iterator[tuple[str, Texts]]:
        """Texts of every task and benchmark by its name, each side and part apart."""
        for name in self._jobs.tasks:
            task = self.task(name)
            yield from ((name, task.queries), (name, task.passages))
        for name, test in self._jobs.tests.corpora.items():
            yield test.benchmark, self.corpus(name)
        for name, test in self._jobs.tests.chosen.items():
            yield test.benchmark, self.queries(name)

    def _task(self, name: str) -> TaskTexts:
        task = self._jobs.tasks[name]
        expected = task.expected_rows
        queries = _read(self._layout.task(name, "queries.parquet"), ("query",), self._sample) or _told(
            expected, "query", task.rows
        )
        passages = _read(self._layout.task(name, "corpus.parquet"), ("title", "text"), self._sample) or _told(
            expected, "passage"
        )
        trained = _number(self._layout.task(name, "train.parquet"))
        held = _read(self._layout.held_out(name, "queries.parquet"), ("query",), self._sample)
        searched = _read(self._layout.held_out(name, "corpus.parquet"), ("title", "text"), self._sample)
        number = task.held_out_corpus if task.held_out else 0
        return TaskTexts(
            queries,
            passages,
            queries.number if trained is None else trained,
            held or queries._replace(number=task.held_out),
            searched or passages._replace(number=number),
        )

    def _corpus(self, name: str) -> Texts:
        if name not in self._jobs.tests.corpora:
            return self._sampled(name)
        test = self._jobs.tests.corpora[name]
        found = _read(self._layout.benchmark(name, "corpus.parquet"), ("title", "text"), self._sample)
        own = {"passages": self._jobs.tests.expected_passages(name)}
        return found or _told(test.entry.expected_rows.model_copy(update=own), "passage")

    def _sampled(self, name: str) -> Texts:
        """The sample of a corpus: at most so many passages of each query, and some more."""
        sample, corpus = self._jobs.config.evaluation.sample, self.corpus(whole(name))
        asked = sum(self.queries(test).number for test in self._jobs.tests.searching(name))
        expected = corpus._replace(number=min(corpus.number, sample.hard * asked + sample.random))
        return _read(self._layout.benchmark(name, "corpus.parquet"), ("title", "text"), self._sample) or expected

    def _queries(self, name: str) -> Texts:
        test = self._jobs.tests.chosen[name]
        found = _read(self._layout.benchmark(name, "queries.parquet"), ("query",), self._sample)
        parts = len(test.entry.parts) or 1
        return found or _told(test.entry.expected_rows, "query", test.entry.queries, parts)


def _told(expected: ExpectedRows, side: str, most: int | None = None, parts: int = 1) -> Texts:
    """Texts that are not prepared: those that the registry expects, or else assumed ones.

    Args:
        expected: What the registry says.
        side: ``query`` or ``passage``.
        most: As many at most are kept.
        parts: What is expected of a benchmark is of so many alike.
    """
    many = {"query": "queries", "passage": "passages"}[side]
    number, words = getattr(expected, many), getattr(expected, f"{side}_words")
    known = NOTHING if not number else EXPECTED if words else NUMBER
    number = -(-(number or getattr(ASSUMED, many)) // parts)
    return Texts(min(number, most or number), (), words or getattr(ASSUMED, f"{side}_words"), known)


def _number(file: str) -> int | None:
    """Rows of a file; None where it is not there."""
    return pq.read_metadata(file).num_rows if Path(file).is_file() else None


def _read(file: str, columns: tuple[str, ...], number: int) -> Texts | None:
    """Some texts of a file, a title before each passage; None where the file is not there."""
    if not Path(file).is_file():
        return None
    with pq.ParquetFile(file) as opened:
        groups = opened.num_row_groups
        places = sorted({round(at * (groups - 1) / (_PLACES - 1)) for at in range(_PLACES)}) if groups else []
        each, sample = number // max(1, len(places)), []
        for place in places:
            whole = opened.metadata.row_group(place).num_rows
            read = whole if whole <= _SMALL else each
            rows = next(opened.iter_batches(read, row_groups=[place], columns=list(columns)))
            step = max(1, rows.num_rows // each)
            taken = rows.take(list(range(0, rows.num_rows, step))[:each]).to_pylist()
            sample += [" ".join(filter(None, (row[column] for column in columns))) for row in taken]
        return Texts(opened.metadata.num_rows, tuple(sample))


def bytes_of(texts: Texts) -> float:
    """Bytes of all texts of one side of a dataset, as they are."""
    if texts.sample:
        return texts.number * sum(len(text.encode()) for text in texts.sample) / len(texts.sample)
    return texts.number * texts.words * _WORD
