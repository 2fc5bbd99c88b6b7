"""A folder in BEIR's layout: ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/{split}.tsv``, each perhaps with ``.gz``.

``path`` may also be one of the qrels files, to choose the split by name (MS MARCO's ``dev.tsv``).
The corpus is passed on as it is read; kept are a 64-bit key of each passage's identifier and, packed
in tables, the qrels and the queries that they name. A benchmark finds its files here, too
(:mod:`tdro.readers.testsets.beir`).
"""

from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from tdro.errors import UserError
from tdro.readers.base import BadRow, Item, Passage, PassageId, Row, Split
from tdro.readers.fields import identifier, passage_of, required
from tdro.readers.files import EMPTY, objects, read_lines, some
from tdro.readers.parts import either
from tdro.readers.qrels import Judgements
from tdro.text.strings import exact_key, key_array, mended

_SPLITS = {"train": ("train",), "test": ("test", "dev")}
_QRELS = {"query": pl.String, "passage": pl.String, "grade": pl.Int64, "line": pl.Int64}
_QUERIES = {"query": pl.String, "text": pl.String}
_BLOCK = 1 << 16

_objects = partial(objects, complaint="is no JSON object; expected BEIR's {'_id': ..., 'text': ...}")


def located(path: Path, split: Split) -> tuple[Path, Path | None]:
    """The dataset's folder and the qrels file to read, None where it has none for the split."""
    if path.is_file():
        return path.parent.parent, path
    return path, next(filter(None, (either(path / "qrels", f"{name}.tsv") for name in _SPLITS[split])), None)


def no_qrels(folder: Path, split: Split) -> UserError:
    """What to raise when the split has no qrels."""
    return UserError(
        f"{folder / 'qrels'} has no {' or '.join(f'{name}.tsv' for name in _SPLITS[split])}; "
        "expected a folder in BEIR's layout, or one of its qrels files."
    )


def read(path: Path, split: Split) -> Iterator[Item]:
    """Yield the whole corpus, then a row a query that has a relevant passage, in the order of the qrels.

    A line of the qrels that names an unknown query or passage is a bad row.

    Raises:
        UserError: for missing or broken files, an empty one, or qrels that mark nothing as relevant.
    """
    folder, qrels = located(path, split)
    if qrels is None:
        raise no_qrels(folder, split)
    corpus, queries = (either(folder, name) or folder / name for name in ("corpus.jsonl", "queries.jsonl"))
    relevant = yield from _relevant(qrels)
    known = yield from _corpus(corpus)
    relevant = relevant.with_columns(known=_among(relevant["passage"], known))
    texts = yield from _texts(queries, relevant.select("query").unique())
    rows = relevant.group_by("query", maintain_order=True).agg("passage", "line", "known")
    rows = rows.join(texts, on="query", how="left", maintain_order="left")
    for query_id, passages, numbers, held, text in rows.iter_rows():
        positives = []
        for passage, number, is_held in zip(passages, numbers, held, strict=True):
            if text is None:
                yield BadRow(f"{qrels}, line {number}", f"names query {query_id!r}, which {queries} does not hold")
            elif not is_held:
                yield BadRow(f"{qrels}, line {number}", f"names passage {passage!r}, which {corpus} does not hold")
            else:
                positives.append(PassageId(passage))
        if positives:
            yield Row(text, positives, query_id=query_id)


def _relevant(qrels: Path) -> Generator[BadRow, None, pl.DataFrame]:
    """Columns query, passage and line of the judgements with a score above 0, in the order of the file.

    Of several judgements of one query and passage the last one counts.
    """
    judgements = Judgements()

    def judgement(number: int, line: bytes) -> tuple[str, str, int, int] | None:
        found = judgements(number, line)
        return found and (*found, number)

    complaint = f"{qrels} marks no passage as relevant; expected scores above 0."
    judged = yield from _table(some(filter(None, read_lines(qrels, judgement)), complaint), _QRELS)
    relevant = judged.unique(["query", "passage"], keep="last", maintain_order=True).filter(pl.col("grade") > 0)
    if len(judged) and relevant.is_empty():
        raise UserError(complaint)
    return relevant


def _corpus(path: Path) -> Generator[Passage | BadRow, None, np.ndarray]:
    """Yields every passage; returns the keys of their identifiers, sorted."""
    keys = bytearray()
    for item in some(_objects(path, passage_of), EMPTY.format(path)):
        if isinstance(item, Passage):
            keys += exact_key(item.passage_id)
        yield item
    return np.sort(key_array([keys]))


def _texts(path: Path, wanted: pl.DataFrame) -> Generator[BadRow, None, pl.DataFrame]:
    """Columns query and text of the queries that are wanted, each once."""
    found = yield from _table(some(_objects(path, _query), EMPTY.format(path)), _QUERIES, wanted)
    return found.unique("query", keep="first", maintain_order=True)


def _table(
    items: Iterator[tuple | BadRow], schema: dict, wanted: pl.DataFrame | None = None
) -> Generator[BadRow, None, pl.DataFrame]:
    """Packs tuples into a table and passes bad rows on; of ``wanted``, only its queries are kept."""
    blocks, block = [pl.DataFrame(schema=schema)], []

    def pack() -> None:
        table = pl.DataFrame(block, schema=schema, orient="row")
        blocks.append(table if wanted is None else table.join(wanted, on="query", how="semi", maintain_order="left"))
        block.clear()

    for item in items:
        if isinstance(item, BadRow):
            yield item
        else:
            block.append(item)
        if len(block) == _BLOCK:
            pack()
    pack()
    return pl.concat(blocks)


def _among(identifiers: pl.Series, known: np.ndarray) -> np.ndarray:
    """Whether each identifier's key is known, a bool each."""
    keys = key_array(map(exact_key, identifiers))
    if not len(known):
        return np.zeros(len(keys), dtype=bool)
    return known[np.searchsorted(known[:-1], keys)] == keys


def _query(record: dict) -> tuple[str, str]:
    return identifier(record, "_id"), mended(required(record, "text"))
