"""For sentence-transformers: a ``datasets.DatasetDict`` that ``load_from_disk`` reads, a dataset a task.

Columns are ``anchor``, ``positive``, ``negative_1`` to ``negative_n``, and ``scores``, of the positive and then of the
negatives: what ``sentence_transformers.util.mine_hard_negatives`` gives as n-tuples with scores (version 6.2), and what
its losses take by position. A passage is its title, a space, its text.

A query with several positives is as many rows. All rows of a task have the same columns: one with fewer negatives than
another repeats its own, in their order, and one without any is left out where others have some. Such repeating is what
a plan of ours does, too (:mod:`tdro.mixtures.draws`). An unknown score is NaN.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from tdro.artifacts.foreign import write_foreign
from tdro.data.exports.forms import Told
from tdro.data.exports.rows import BLOCK, Example
from tdro.text.strings import passage_text


def write(told: Told, examples: Iterable[Example], folder: Path, scratch: Path) -> int:
    """Write one task; returns the rows written."""
    from datasets import Dataset, DatasetInfo

    examples = iter(examples)
    start = list(islice(examples, 1))
    schema = _schema(told.width, scored=bool(start) and start[0].negative_scores is not None)
    rows, number, path = _rows(chain(start, examples), told.width), 0, scratch / "rows.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        while block := list(islice(rows, BLOCK)):
            writer.write_table(pa.Table.from_pylist(block, schema=schema))
            number += len(block)
    Dataset.from_file(str(path), info=DatasetInfo(dataset_name=told.name)).save_to_disk(str(folder / told.name))
    path.unlink()
    return number


def finish(names: list[str], folder: Path) -> None:
    """Make one ``DatasetDict`` of the tasks written, in this order."""
    write_foreign(folder / "dataset_dict.json", {"splits": names})


def _schema(width: int, *, scored: bool) -> pa.Schema:
    texts = ["anchor", "positive", *(f"negative_{number + 1}" for number in range(width))]
    scores = [("scores", pa.list_(pa.float32()))] if scored else []
    return pa.schema([*((name, pa.string()) for name in texts), *scores])


def _rows(examples: Iterable[Example], width: int) -> Iterator[dict[str, Any]]:
    for example in examples:
        own = len(example.negatives)
        if width and not own:
            continue
        places = [place % own for place in range(width)]
        texts = [passage_text(passage.title, passage.text) for passage in example.negatives]
        negatives = {f"negative_{number + 1}": texts[place] for number, place in enumerate(places)}
        for number, positive in enumerate(example.positives):
            row: dict[str, Any] = {"anchor": example.query, "positive": passage_text(positive.title, positive.text)}
            row |= negatives
            if example.negative_scores is not None and example.positive_scores is not None:
                scores = [example.positive_scores[number], *(example.negative_scores[place] for place in places)]
                row["scores"] = [math.nan if score is None else score for score in scores]
            yield row
