"""Leak check: what is evaluated with and still stands in the training data.

Deduplication compares queries with queries by a hash of the whole text. This looks by another measure
(:mod:`tdro.data.containment`) at the training rows as they are, whatever was removed, replaced or added before and
whatever `dedup` was told to leave alone: for each evaluation query, and each passage that is relevant to one, whether a
training query or the positive of a training query contains it.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tdro.artifacts.files import count_rows, read_table, read_texts, write_table
from tdro.artifacts.schemas import LEAKS, QUERIES, TRAIN
from tdro.data.containment import CHUNK, Contained
from tdro.data.corpora import chosen
from tdro.errors import UserError
from tdro.progress import Progress
from tdro.readers.queryfiles import read_queries
from tdro.text.strings import chunks, passage_texts

log = logging.getLogger(__name__)

#: Examples that are kept of a dataset.
EXAMPLES = 3

_LONGEST = 300  # characters of an example
_ROWS = pa.schema([QUERIES.field("positives")])
_TRAINED = pa.schema([TRAIN.field("query"), TRAIN.field("positives")])

#: Where an evaluation text is looked for, and what of a training row that is.
SIDES = ("query", "positive")


class Evaluated(NamedTuple):
    """A dataset that is evaluated on: its queries, and the corpus that its relevant passages stand in."""

    queries: Path
    corpus: Path | None = None


class Trained(NamedTuple):
    """A training task."""

    queries: Path
    corpus: Path
    train: Path


Texts = Callable[[], Iterator[str]]
# Rows of the queries, or of the positives, that a task trains on, and how to read the texts of some rows.
Side = tuple[np.ndarray, Callable[[np.ndarray], Iterator[str]]]


@dataclass(frozen=True)
class _Dataset:
    """Texts of a dataset by kind, how to read them and the number that :class:`Contained` gives to each."""

    texts: Mapping[str, Texts]
    numbers: Mapping[str, np.ndarray]

    @classmethod
    def read(cls, index: Contained, texts: Mapping[str, Texts]) -> Self:
        """Add the texts to the index."""
        nothing = np.empty(0, dtype=np.int32)
        numbers = {
            kind: np.concatenate([nothing, *map(index.add, chunks(read(), CHUNK))]) for kind, read in texts.items()
        }
        return cls(texts, {"query": nothing, "passage": nothing} | numbers)


def leaks(
    evaluation: Mapping[str, Evaluated], training: Mapping[str, Trained], output: Path, files: Iterable[str] = ()
) -> None:
    """Count, for each dataset, the queries and relevant passages that training queries and positives contain.

    The evaluation texts are indexed in memory; the training texts stream by.

    Args:
        evaluation: Each dataset that is evaluated on, by name. Without a corpus no passages are looked for.
        training: Each task, by name.
        output: The ``leaks.parquet`` to write, a row a dataset, see :data:`tdro.artifacts.schemas.LEAKS`.
        files: Further files of evaluation queries (`dedup.queries`), a row each under the file's name.

    Raises:
        UserError: for a missing file, or rows that name queries or passages which the task or dataset lacks.
    """
    index = Contained()
    texts = {name: _texts(name, dataset) for name, dataset in evaluation.items()}
    for file in files:
        if Path(file).name in texts:
            raise UserError(
                f"`dedup.queries` holds a file {Path(file).name!r}, and a dataset is called so, too; rename it."
            )
        texts[Path(file).name] = {"query": partial(read_queries, file)}
    datasets = {name: _Dataset.read(index, kinds) for name, kinds in texts.items()}
    index.finish()
    log.info("%d datasets: looking for %d distinct texts", len(datasets), len(index))
    found = _Found(len(index))
    sides = {task: _training_texts(trained) for task, trained in training.items()}
    for task, texts_of in sides.items():
        for side, (rows, read) in texts_of.items():
            before = int(found.known[side].sum())
            texts_read = Progress(f"{task}, {side}: compared", "texts", len(rows)).through(read(rows))
            found.look(index, side, task, rows, texts_read)
            log.info("%s, %s: %d more evaluation texts found", task, side, found.known[side].sum() - before)
    examples = _examples(datasets, found, sides)
    counted = [_row(name, dataset, found, examples[name]) for name, dataset in datasets.items()]
    write_table(output, pa.Table.from_pylist(counted, schema=LEAKS), LEAKS)
    for row in counted:
        log.info(
            "%s: %d of %d queries in a training query, %d in a positive; %d of %d relevant passages in a query, "
            "%d in a positive",
            *(row[k] for k in ("dataset", "query_in_query", "queries", "query_in_positive")),
            *(row[k] for k in ("passage_in_query", "passages", "passage_in_positive")),
        )  # fmt: skip


def _texts(name: str, dataset: Evaluated) -> dict[str, Texts]:
    """How to read a dataset's queries and its relevant passages."""
    texts: dict[str, Texts] = {"query": partial(read_texts, dataset.queries, "query")}
    rows = np.unique(pc.list_flatten(read_table(dataset.queries, _ROWS)["positives"]).to_numpy())
    if dataset.corpus is None or not len(rows):
        return texts
    if rows[-1] >= count_rows(dataset.corpus):
        raise UserError(f"{dataset.queries} names a passage that {dataset.corpus} lacks; prepare {name} anew.")
    return texts | {"passage": partial(_passages, dataset.corpus, rows)}


def _passages(corpus: Path, rows: np.ndarray) -> Iterator[str]:
    """Texts of some passages, by rising row."""
    for _, table in chosen(corpus, rows, ("title", "text")):
        yield from passage_texts(table)


def _training_texts(trained: Trained) -> dict[str, Side]:
    """Rows of the queries and of the positives that a task trains on, and how to read the texts of some of them."""
    table = read_table(trained.train, _TRAINED)
    rows = [table["query"].to_numpy(), pc.list_flatten(table["positives"]).to_numpy()]
    sides: dict[str, Side] = {}
    files, readers = (trained.queries, trained.corpus), (_queries, _passages)
    for side, used, file, read in zip(SIDES, map(np.unique, rows), files, readers, strict=True):
        if len(used) and used[-1] >= count_rows(file):
            raise UserError(
                f"{trained.train} names a {side} that {file} lacks; delete it and let the workflow make it again."
            )
        sides[side] = used, partial(read, file)
    return sides


def _queries(queries: Path, rows: np.ndarray) -> Iterator[str]:
    """Texts of some queries, by rising row."""
    for _, table in chosen(queries, rows, ("query",)):
        yield from table["query"].to_pylist()


class _Found:
    """Where each evaluation text was found first, on each side: task, row and the share of its groups."""

    def __init__(self, total: int) -> None:
        self.known = {side: np.zeros(total, dtype=bool) for side in SIDES}
        self.places: dict[str, dict[int, tuple[str, int, float]]] = {side: {} for side in SIDES}

    def look(self, index: Contained, side: str, task: str, rows: np.ndarray, texts: Iterable[str]) -> None:
        """Look for what was not found yet in texts of a task, which stand in these rows."""
        start = 0
        for chunk in chunks(texts, CHUNK):
            places, numbers, shares = index.find(chunk, ~self.known[side])
            for place, number, share in zip(places.tolist(), numbers.tolist(), shares.tolist(), strict=True):
                self.places[side].setdefault(number, (task, int(rows[start + place]), share))
            self.known[side][numbers] = True
            start += len(chunk)


def _row(name: str, dataset: _Dataset, found: _Found, examples: list[dict]) -> dict:
    numbers = dataset.numbers.items()
    return {
        "dataset": name,
        "queries": len(dataset.numbers["query"]),
        "passages": len(dataset.numbers["passage"]),
        **{f"{kind}_in_{side}": int(found.known[side][n].sum()) for kind, n in numbers for side in SIDES},
        "examples": examples,
    }


def _examples(
    datasets: Mapping[str, _Dataset], found: _Found, sides: Mapping[str, Mapping[str, Side]]
) -> dict[str, list[dict]]:
    """The first leaks of each dataset, one of each kind in turn, with both texts."""
    shown = {name: _first(dataset, found) for name, dataset in datasets.items()}
    wanted: dict[tuple[str, str], set[int]] = {}
    for example in chain(*shown.values()):
        wanted.setdefault((example["task"], example["side"]), set()).add(example["row"])
    trained = {}
    for (task, side), rows in wanted.items():
        ordered = np.array(sorted(rows))
        trained[task, side] = dict(zip(ordered.tolist(), sides[task][side][1](ordered), strict=True))
    for name, examples in shown.items():
        for kind in datasets[name].texts:
            places = {example["place"] for example in examples if example["kind"] == kind}
            texts = enumerate(datasets[name].texts[kind]()) if places else ()
            own = {place: text for place, text in texts if place in places}
            for example in examples:
                if example["kind"] == kind:
                    text = trained[example["task"], example["side"]][example["row"]]
                    example["evaluation"] = own[example["place"]][:_LONGEST]
                    example["training"] = _excerpt(text, own[example["place"]])
    return shown


def _first(dataset: _Dataset, found: _Found) -> list[dict]:
    """What to show of a dataset, without the texts."""
    kinds = []
    for kind, numbers in dataset.numbers.items():
        for side in SIDES:
            places = np.flatnonzero(found.known[side][numbers])[:EXAMPLES].tolist()
            kinds.append([(kind, side, place, *found.places[side][int(numbers[place])]) for place in places])
    turns = chain.from_iterable(zip_longest(*kinds))
    names = ("kind", "side", "place", "task", "row", "share")
    return [dict(zip(names, leak, strict=True)) for leak in islice(filter(None, turns), EXAMPLES)]


def _excerpt(text: str, part: str) -> str:
    """Of a long text the piece around the first words that it shares with the other."""
    if len(text) <= _LONGEST:
        return text
    words = part.split()
    runs = (" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2)))
    found = next((match for run in runs if (match := re.search(re.escape(run), text, re.IGNORECASE))), None)
    start = max(0, found.start() - _LONGEST // 4) if found else 0
    piece = text[start : start + _LONGEST]
    return ("\u2026" if start else "") + piece + ("\u2026" if start + _LONGEST < len(text) else "")
