"""Prepare a dataset: what a reader yields becomes ``corpus.parquet`` and ``queries.parquet``.

Identical passages are stored once and identical queries become one query with several positives.
Negatives that a source provides are listed beside their query where the task asks for them; where
negatives are to be mined, those passages are candidates like all others.
A training task may keep some queries out of training, for the in-domain benchmark. That split is by
passage, because many tasks answer many queries with one passage: a passage that answers a held-out
query is no passage of the training corpus. One query a held-out passage is kept, as queries that
share their answer would be no independent measurements.
"""

import logging
import zlib
from collections import Counter
from collections.abc import Iterable, Sized
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tdro.collection import Collection
from tdro.config import Data
from tdro.errors import UserError
from tdro.registry import BenchmarkRows, TaskRows
from tdro.sources import Passage, Row, rows

_LOG = logging.getLogger(__name__)

# Of a passage that answers hundreds of queries only so many are held out, so that none rules the benchmark.
MOST_HELD_OUT_OF_A_PASSAGE = 1


@dataclass
class Split:
    """Rows of a collection: the queries held out and what answers them, and the queries left to train on."""

    training: list[int]
    held_out: list[int] = field(default_factory=list)
    passages: set[int] = field(default_factory=set)


def prepare_task(name: str, task: TaskRows, data: Data, output: Path, fetched: Path | None = None) -> None:
    """Write a training task and its in-domain benchmark, which is empty when ``task.held_out`` is 0.

    Args:
        name: the task's name.
        task: its entry of the registry.
        data: limits on text length, seed of the split and of the choice of rows.
        output: folder for ``corpus.parquet``, ``queries.parquet`` (with the counts of what was
            dropped and why) and the same two below ``heldout/``.
        fetched: manifest of what was fetched ahead; null fetches on demand.

    Raises:
        UserError: when the source cannot be read, or nothing is left to train on or to hold out.
    """
    provided = task.negatives == "provided"
    collection = _collect(name, rows(task.source, "train", fetched), data, filtered=True)
    counts = collection.counts
    random = np.random.default_rng([data.seed, zlib.crc32(name.encode())])
    usable = list(range(len(collection.queries)))
    _require(usable, f"task {name}", "rows", counts)
    if provided:
        usable = [query for query in usable if collection.negatives[query]]
        counts["without a negative"] = len(collection.queries) - len(usable)
        _require(usable, f"task {name}", "queries with provided negatives; set `negatives: mined`", counts)
    split = hold_out(collection.positives, usable, task.held_out, random, counts)
    if provided:  # what is held out is no negative either
        usable = [q for q in split.training if not split.passages.issuperset(collection.negatives[q])]
        counts["all negatives held out"] = len(split.training) - len(usable)
        split.training = usable
    counts["held out"] = len(split.held_out)
    if len(split.held_out) < task.held_out or not split.training:
        raise UserError(
            f"task {name}: holding {task.held_out} queries out leaves {len(split.training)} to train on "
            f"and finds {len(split.held_out)}; lower `held_out` ({_listed(counts)})."
        )
    others = _sample(set(range(len(collection.passages))) - split.passages, task.held_out_corpus, random)
    distractors = others[: max(0, task.held_out_corpus - len(split.passages))]
    collection.write(output / "heldout", split.held_out, split.passages.union(distractors) if split.held_out else ())
    chosen = _sample(split.training, task.rows, random)
    passages = _passages_of(collection, chosen) - split.passages
    counts["training queries"], counts["training passages"] = len(chosen), len(passages)
    collection.write(output, chosen, passages, negatives=provided, counts=dict(counts))
    _LOG.info("%s: %s", name, _listed(counts))


def prepare_benchmark(
    name: str, benchmark: BenchmarkRows, data: Data, output: Path, fetched: Path | None = None
) -> None:
    """Write a benchmark: its whole corpus, and all of its queries or ``benchmark.queries`` of them.

    Texts are cut and normalised as those of the tasks, but only empty ones are dropped: what is
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
    collection = _collect(name, rows(benchmark.source, "test", fetched), data, filtered=False)
    counts = collection.counts
    _require(collection.queries, f"benchmark {name}", "rows", counts)
    random = np.random.default_rng([data.seed, zlib.crc32(name.encode())])
    chosen = _sample(range(len(collection.queries)), benchmark.queries, random)
    counts["queries"], counts["passages"] = len(chosen), len(collection.passages)
    collection.write(output, chosen, range(len(collection.passages)), counts=dict(counts))
    _LOG.info("%s: %s", name, _listed(counts))


def hold_out(
    positives: list[list[int]], usable: Iterable[int], wanted: int, random: np.random.Generator, counts: Counter[str]
) -> Split:
    """Split queries by passage: passages are drawn until ``wanted`` queries are held out.

    A query is held out when all its passages are drawn, at most a few of each passage; it is
    trained on when none is; else it is dropped and counted.

    Args:
        positives: passages' rows of each query.
        usable: the queries to split.
        wanted: number of queries to hold out.
        random: source of the drawing order.
        counts: gets the number of queries dropped, by reason.
    """
    usable = list(usable)
    if not wanted:
        return Split(training=usable)
    queries_of: dict[int, list[int]] = {}
    for query in usable:
        for passage in positives[query]:
            queries_of.setdefault(passage, []).append(query)
    drawn: set[int] = set()
    held_out: list[int] = []
    for passage in random.permutation(sorted(queries_of)).tolist():
        drawn.add(passage)
        answered = [query for query in queries_of[passage] if drawn.issuperset(positives[query])]
        most = min(MOST_HELD_OUT_OF_A_PASSAGE, wanted - len(held_out))
        held_out += _sample(answered, most, random)
        if len(held_out) == wanted:
            break
    kept = set(held_out)
    training = [query for query in usable if drawn.isdisjoint(positives[query])]
    surplus = sum(1 for query in usable if query not in kept and drawn.issuperset(positives[query]))
    counts["surplus of a held-out passage"] = surplus
    counts["positives on both sides of the split"] = len(usable) - len(training) - len(kept) - surplus
    return Split(training, held_out, drawn)


def _collect(name: str, items: Iterable[Row | Passage], data: Data, *, filtered: bool) -> Collection:
    """Read a whole source into memory, each text once."""
    collection = Collection(name, data)
    for item in items:
        if isinstance(item, Row):
            collection.add_row(item, filtered=filtered)
        elif (row := collection.add_passage(item)) is not None:
            collection.named.add(row)
    collection.drop_false_negatives()
    return collection


def _passages_of(collection: Collection, queries: Iterable[int]) -> set[int]:
    """What the queries point to, and the passages that the source's own corpus lists."""
    used = set(collection.named)
    for query in queries:
        used.update(collection.positives[query], collection.negatives[query])
    return used


def _sample(population: Iterable[int], most: int | None, random: np.random.Generator) -> list[int]:
    """At most ``most`` elements in random order; null takes all of them."""
    return random.permutation(np.array(sorted(population), dtype=np.int64))[:most].tolist()


def _require(found: Sized, dataset: str, what: str, counts: Counter[str]) -> None:
    if not len(found):
        raise UserError(f"{dataset} has no {what} ({_listed(counts) or 'its source is empty'}).")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{key}: {count}" for key, count in counts.items() if count)
