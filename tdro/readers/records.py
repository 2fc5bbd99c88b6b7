"""Records of tables, each behind its place: those of Parquet, and what is made of them and of those of CSV."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from tdro.readers.base import BadRow
from tdro.readers.filekinds import check_parquet
from tdro.readers.files import ADVICE, BROKEN, NOT_UTF8, Malformed, unreadable

#: A record by its columns, or what is wrong with it, behind its place.
Placed = tuple[str, dict | Malformed]
Parsed = TypeVar("Parsed")

# Rows in memory at a time, and bytes read ahead of them a column.
_BATCH_ROWS = 1024
_BUFFER = 1 << 20


def of_parquet(path: Path, wanted: Callable[[list[str]], list[str]], advice: str = ADVICE) -> Iterator[Placed]:
    """The rows of a file; one of no columns and no rows has none.

    Args:
        path: the file.
        wanted: of the columns that there are, those to read.
        advice: what the messages end with.

    Raises:
        UserError: when the file cannot be read, or what ``wanted`` raises.
    """
    try:
        check_parquet(path, advice)
        with pq.ParquetFile(path, buffer_size=_BUFFER) as file:
            has = file.schema_arrow.names
            if not has and not file.metadata.num_rows:
                return
            number = 0
            for batch in file.iter_batches(_BATCH_ROWS, columns=wanted(has)):
                for record in _rows(batch):
                    number += 1
                    yield f"{path}, row {number}", record
    except (*BROKEN, pa.ArrowException, UnicodeDecodeError) as error:
        raise unreadable(path, error, advice) from None


def _rows(batch: pa.RecordBatch) -> Iterator[dict | Malformed]:
    """Rows of a batch; one by one where a string is not UTF-8."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for place in range(len(batch)):
            try:
                yield batch.slice(place, 1).to_pylist()[0]
            except UnicodeDecodeError:
                yield Malformed(NOT_UTF8)


def parsed_records(placed: Iterable[Placed], parse: Callable[[dict], Parsed]) -> Iterator[Parsed | BadRow]:
    """What ``parse`` makes of each record; where it raises :class:`Malformed`, and for one that is, a bad row."""
    for place, record in placed:
        try:
            if isinstance(record, Malformed):
                raise record
            yield parse(record)
        except Malformed as error:
            yield BadRow(place, str(error))
