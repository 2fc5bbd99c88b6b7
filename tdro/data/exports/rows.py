"""The training rows of a task with their texts and scores, as they stand in ``train.parquet``, a block in memory."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tdro.artifacts.files import check_columns, read_batches
from tdro.artifacts.layout import Layout
from tdro.artifacts.schemas import CORPUS, NEGATIVES, QUERIES, SCORED_TRAIN, TRAIN
from tdro.data.exports.stored import Stored
from tdro.errors import UserError
from tdro.readers.base import Passage

#: Rows whose texts are in memory together.
BLOCK = 1024

_ASKED = pa.schema([QUERIES.field("query_id"), QUERIES.field("query")])

#: Scores of passages, in their order: null where a passage filled a gap at random; None where nothing was scored.
Scores = list[float | None] | None


class Example(NamedTuple):
    """A training row.

    Attributes:
        row: Of the task's queries.
        query_id: Of the query.
        query: Its text.
        positives: The passages that answer it.
        negatives: Hard negatives, by falling score.
        positive_scores: Those of the positives.
        negative_scores: Those of the negatives.
    """

    row: int
    query_id: str
    query: str
    positives: list[Passage]
    negatives: list[Passage]
    positive_scores: Scores
    negative_scores: Scores


def examples(task: str, layout: Layout, scratch: Path, most: int | None = None) -> Iterator[Example]:
    """Yield every training row of a task.

    Scores are those of ``train.parquet``, or of ``negatives.parquet`` beside it. What they are says the mining: inner
    products of the miner, or what a cross-encoder said.

    Args:
        task: Its name.
        layout: Where the results lie.
        scratch: An empty folder, for texts that are looked up; it takes about what they take.
        most: Negatives of a row, of which the first are taken; None takes all.

    Raises:
        UserError: when files are missing or do not belong together.
    """
    asked = Stored(Path(layout.task(task, "queries.parquet")), _ASKED, scratch)
    corpus = Stored(Path(layout.task(task, "corpus.parquet")), CORPUS, scratch)
    rows = _rows(Path(layout.task(task, "train.parquet")), Path(layout.task(task, "negatives.parquet")))
    while block := list(islice(rows, BLOCK)):
        for row in block:
            row["negatives"] = row["negatives"][:most]
        queries = asked[[row["query"] for row in block]]
        passages = corpus[[number for row in block for number in (*row["positives"], *row["negatives"])]]
        for row in block:
            query = queries[row["query"]]
            yield Example(
                row["query"],
                query["query_id"],
                query["query"],
                [_passage(passages[number]) for number in row["positives"]],
                [_passage(passages[number]) for number in row["negatives"]],
                row["positive_scores"],
                None if row["negative_scores"] is None else row["negative_scores"][:most],
            )


def most_negatives(train: Path) -> int:
    """The largest number of negatives that a row of a ``train.parquet`` has."""
    schema = pa.schema([TRAIN.field("negatives")])
    lengths = (pc.max(pc.list_value_length(table["negatives"])).as_py() for table in read_batches(train, schema, 8192))
    return max((length or 0 for length in lengths), default=0)


def _passage(stored: dict[str, str]) -> Passage:
    return Passage(stored["text"], stored["title"], stored["passage_id"])


def _rows(train: Path, negatives: Path) -> Iterator[dict[str, Any]]:
    """Rows of ``train.parquet`` with both lists of scores, or None for them."""
    if "negative_scores" in check_columns(train, TRAIN):
        yield from _dicts(train, SCORED_TRAIN)
    elif not negatives.exists():
        for row in _dicts(train, TRAIN):
            yield row | {"positive_scores": None, "negative_scores": None}
    else:
        mined = _dicts(negatives, NEGATIVES)  # both are in the order of the queries
        for row in _dicts(train, TRAIN):
            own = next((other for other in mined if other["query"] == row["query"]), None)
            if own is None or own["negatives"] != row["negatives"]:
                raise UserError(
                    f"{negatives} has other negatives for query {row['query']} than {train}; run `dedup` again, or "
                    "delete the negatives where they are no longer mined."
                )
            yield row | {"positive_scores": own["positive_scores"], "negative_scores": own["scores"]}


def _dicts(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    for table in read_batches(path, schema, BLOCK):
        yield from table.to_pylist()


def passages_as_objects(passages: Sequence[Passage], scores: Scores = None) -> list[dict[str, Any]]:
    """Passages as JSON objects ``docid``, ``title`` and ``text``, and ``score`` where there are scores."""
    objects: list[dict[str, Any]] = [
        {"docid": passage.passage_id, "title": passage.title, "text": passage.text} for passage in passages
    ]
    for one, score in zip(objects, scores or (), strict=False):
        one["score"] = score
    return objects
