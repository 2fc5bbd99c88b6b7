"""Prepare a dataset: what a reader yields becomes ``corpus.parquet`` and ``queries.parquet``.

A passage is stored once and a query that comes again gets further positives (:mod:`tdro.text.relations` says when two
texts are the same).
Negatives that a source provides are listed beside their query where the task asks for them; where
negatives are to be mined, those passages are candidates like all others.
A training task may keep some queries out of training, for the in-domain benchmark (:mod:`tdro.data.heldout`) and for
what choices are made on (:mod:`tdro.data.devrows`).
"""

import logging
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from tdro.artifacts.digests import write_digests
from tdro.artifacts.layout import TEXTS
from tdro.config.data import Data
from tdro.config.registry import BenchmarkRows, Source, TaskRows
from tdro.data.collection import ECHOES, Collection
from tdro.data.devrows import set_apart, write_dev_queries
from tdro.data.heldout import hold_out, sample
from tdro.errors import UserError
from tdro.progress import Progress
from tdro.readers.base import BadRow, Item, Passage, Row, Split, rows
from tdro.readers.counted import about
from tdro.readers.files import NOT_UTF8, TO_UTF8
from tdro.readers.markupseen import MarkupSeen

_LOG = logging.getLogger(__name__)

# Malformed rows that are quoted.
_QUOTED = 5
# Share of a task's positives that repeat their query from which on it is warned of.
_MANY_ECHOES = 0.5


def prepare_task(name: str, task: TaskRows, data: Data, output: Path, fetched: Path | None = None) -> None:
    """Write a training task and its in-domain benchmark, which is empty when ``task.held_out`` is 0.

    Args:
        name: the task's name.
        task: its entry of the registry.
        data: limits on text length, seed of the split and of the choice of rows.
        output: folder for ``corpus.parquet``, ``queries.parquet`` (with the counts of what was
            dropped and why), the same two below ``heldout/``, and ``dev/queries.parquet``.
        fetched: manifest of what was fetched ahead; null fetches on demand.

    Raises:
        UserError: when the source cannot be read, or nothing is left to train on, to hold out or to set apart.
    """
    items = _items(f"task {name}", name, task.source, "train", fetched)
    with closing(_collect(f"task {name}", name, items, data, output, filtered=True)) as collection:
        _write_task(name, task, data, collection, output)
    texts = [folder / file for folder in (output, output / "heldout") for file in TEXTS]
    write_digests([*texts, output / "dev" / "queries.parquet"])
    _LOG.info("%s: %s", name, _listed(collection.counts))


def _write_task(name: str, task: TaskRows, data: Data, collection: Collection, output: Path) -> None:
    provided = task.negatives == "provided"
    counts = collection.counts
    random = np.random.default_rng([data.seed, zlib.crc32(name.encode())])
    usable = np.flatnonzero(collection.positives.lengths)
    _check_echoes(name, collection, data)
    if provided:
        with_positives = len(usable)
        usable = usable[collection.negatives.lengths[usable] > 0]
        counts["without a negative"] = with_positives - len(usable)
        _require(len(usable), f"task {name}", "queries with provided negatives; set `negatives: mined`", counts)
    split = hold_out(collection.positives, usable, task.held_out, random, counts)
    drawn = _mask(collection.passages, split.passages)
    if provided:  # what is held out is no negative either
        left = collection.negatives.lengths > collection.negatives.count(drawn)
        counts["all negatives held out"] = int(np.count_nonzero(~left[split.training]))
        split.training = split.training[left[split.training]]
    counts["held out"] = len(split.held_out)
    if len(split.held_out) < task.held_out or not len(split.training):
        raise UserError(
            f"task {name}: holding {task.held_out} queries out leaves {len(split.training)} to train on "
            f"and finds {len(split.held_out)}; lower `held_out` ({_listed(counts)})."
        )
    training, dev = set_apart(name, task.dev, data.seed, collection.positives, split.training, counts)
    others = sample(np.flatnonzero(~drawn), task.held_out_corpus, random)
    distractors = others[: max(0, task.held_out_corpus - len(split.passages))]
    searched = np.union1d(split.passages, distractors) if task.held_out else split.passages
    collection.write(output / "heldout", np.sort(split.held_out), searched)
    chosen = sample(training, task.rows, random)
    asked = np.union1d(chosen, dev)
    passages = np.flatnonzero(_used(collection, asked) & ~drawn)
    counts["training queries"], counts["training passages"] = len(chosen), len(passages)
    collection.write(output, asked, passages, negatives=provided, counts=dict(counts))
    write_dev_queries(output, np.searchsorted(asked, dev))


def _check_echoes(name: str, collection: Collection, data: Data) -> None:
    """Warn of a task most of whose positives repeat their query.

    Raises:
        UserError: when none is left because all of them do.
    """
    same, near = (collection.counts[kind] for kind in ECHOES)
    if same + near < collection.pairs * _MANY_ECHOES:
        return
    found = f"task {name}: {same} of {collection.pairs} positives say the same as their query and {near} nearly do"
    advice = "see whether the source's query and positive are two different columns"
    if not collection.positives.lengths.any():
        raise UserError(f"{found}, so nothing is left to learn from; {advice}, or set `data.drop_echoes: none`.")
    kept = {"none": same + near, "same": near, "near": 0}[data.drop_echoes]
    _LOG.warning("%s; %d of these are kept (`data.drop_echoes: %s`); %s", found, kept, data.drop_echoes, advice)


def prepare_benchmark(
    name: str, benchmark: BenchmarkRows, data: Data, output: Path, fetched: Path | None = None
) -> None:
    """Write a benchmark: its whole corpus, and all of its queries or ``benchmark.queries`` of them.

    Texts are stored and cut as those of the tasks, but only empty ones are dropped: what is
    measured should not depend on what is trained on.

    Args:
        name: the benchmark's name.
        benchmark: its entry of the registry.
        data: longest passage, seed of the choice of queries.
        output: folder for ``corpus.parquet`` and ``queries.parquet``.
        fetched: manifest of what was fetched ahead; null fetches on demand.

    Raises:
        UserError: when the source cannot be read or holds nothing.
    """
    items = _items(f"benchmark {name}", name, benchmark.source, "test", fetched)
    with closing(_collect(f"benchmark {name}", name, items, data, output, filtered=False)) as collection:
        counts = collection.counts
        random = np.random.default_rng([data.seed, zlib.crc32(name.encode())])
        chosen = np.sort(sample(np.arange(collection.queries), benchmark.queries, random))
        counts["queries"], counts["passages"] = len(chosen), collection.passages
        collection.write(output, chosen, np.arange(collection.passages), counts=dict(counts))
    write_digests(output / file for file in TEXTS)
    _LOG.info("%s: %s", name, _listed(counts))


def _items(dataset: str, name: str, source: Source, split: Split, fetched: Path | None) -> Iterator[Item]:
    """What a source gives; the log tells of markup, and how many rows are read of about how many."""
    told = Progress(f"{name}: read", "rows", about(source), estimated=True)
    return told.through(MarkupSeen(dataset, source).through(rows(source, split, fetched)))


def _collect(dataset: str, name: str, items: Iterable[Item], data: Data, output: Path, *, filtered: bool) -> Collection:
    """Read a whole source, each text once.

    Raises:
        UserError: when it cannot be read, holds nothing, or has more malformed rows than the settings allow.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    collection = Collection(name, data, output.parent, filtered=filtered)
    malformed = _Malformed()
    for item in items:
        if isinstance(item, Row):
            collection.add_row(item)
        elif isinstance(item, Passage):
            collection.add_passage(item)
        else:
            malformed.add(item)
    malformed.check(dataset, data.max_bad_rows)
    collection.finish()
    if malformed.count:
        collection.counts["malformed"] = malformed.count
    _require(collection.queries, dataset, "rows", collection.counts)
    return collection


class _Malformed:
    """The malformed rows of a source: all are counted, the first ones quoted."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[BadRow] = []

    def add(self, row: BadRow) -> None:
        """Count one."""
        self.count += 1
        if len(self._first) < _QUOTED:
            self._first.append(row)

    def check(self, dataset: str, most: int) -> None:
        """Warn of malformed rows; raises UserError: when there are more than ``most``."""
        if not self.count:
            return
        quoted = "; ".join(f"{place} {reason}" for place, reason in self._first)
        more = f"; and {self.count - len(self._first)} more" if self.count > len(self._first) else ""
        found = f"{self.count} malformed row{'s' if self.count > 1 else ''}"
        if self.count > most:
            raise UserError(
                f"{dataset} has {found}, and `data.max_bad_rows` allows {most}: {quoted}{more}. "
                f"{_advice(self._first)}Correct them, or raise `data.max_bad_rows` to leave them out."
            )
        _LOG.warning("%s: %s left out: %s%s", dataset, found, quoted, more)


def _advice(bad: list[BadRow]) -> str:
    """What helps against rows of another encoding."""
    return f"{TO_UTF8}. " if any(NOT_UTF8 in row.reason for row in bad) else ""


def _used(collection: Collection, queries: np.ndarray) -> np.ndarray:
    """What the queries point to, and the passages that the source's own corpus lists, as a bool a passage."""
    used = _mask(collection.passages, collection.named)
    used[collection.positives.take(queries).values] = True
    used[collection.negatives.take(queries).values] = True
    return used


def _mask(total: int, rows: np.ndarray) -> np.ndarray:
    mask = np.zeros(total, dtype=bool)
    mask[rows] = True
    return mask


def _require(found: int, dataset: str, what: str, counts: Counter[str]) -> None:
    if not found:
        raise UserError(f"{dataset} has no {what} ({_listed(counts) or 'its source is empty'}).")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{key}: {count}" for key, count in counts.items() if count)
