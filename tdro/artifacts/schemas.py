"""The edges of the DAG: one Arrow schema a Parquet file, and how files are written and read.

Every file is written under a temporary name and renamed, so that a reader never sees half of one.
Counts of a stage (rows read, rows dropped and why) travel in the Parquet file's own metadata.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tdro.artifacts import strictyaml
from tdro.artifacts.fulldisk import naming
from tdro.errors import UserError

_ROWS = pa.list_(pa.int32())

#: ``corpus.parquet``: each passage once. Other files name a passage by its row in this one.
CORPUS = pa.schema([("passage_id", pa.string()), ("title", pa.string()), ("text", pa.string())])

#: ``queries.parquet``: each query once. ``positives`` and ``negatives`` are rows of the corpus;
#: ``negatives`` holds what the source provides and is empty where they are to be mined.
QUERIES = pa.schema([("query_id", pa.string()), ("query", pa.string()), ("positives", _ROWS), ("negatives", _ROWS)])

#: ``queries.parquet`` of a benchmark in its own format: the same, with what decides whether a passage is relevant.
#: ``grades`` are those of the positives, in their order, and behind them those of relevant passages that the corpus
#: lacks, which belong to the ideal ranking; ``answers`` are strings that a relevant passage contains, in the place of
#: positives. The one or the other is null.
TEST_QUERIES = pa.schema([*QUERIES, ("grades", pa.list_(pa.int32())), ("answers", pa.list_(pa.string()))])

#: ``candidates.parquet`` and ``rescored.parquet``: the passages nearest to a query by falling score, its
#: positives among them; ``positive_scores`` are those of its positives, in their order.
CANDIDATES = pa.schema(
    [
        ("query", pa.int32()),
        ("candidates", _ROWS),
        ("scores", pa.list_(pa.float32())),
        ("positive_scores", pa.list_(pa.float32())),
    ]
)

_SCORES = pa.list_(pa.float32())

#: ``negatives.parquet``: ``query`` is a row of the queries, ``scores`` those of the candidates, of the miner or of the
#: cross-encoder; a score is null where a random passage filled a gap. ``positive_scores`` are those of its positives.
NEGATIVES = pa.schema([("query", pa.int32()), ("negatives", _ROWS), ("scores", _SCORES), ("positive_scores", _SCORES)])

#: ``train.parquet``: the rows a plan draws from.
TRAIN = pa.schema([("query", pa.int32()), ("positives", _ROWS), ("negatives", _ROWS)])

#: ``train.parquet`` where a training distils: with a score for each positive and negative, in their order. A score is
#: null where a random passage filled a gap; the whole list is where the source provides the negatives.
SCORED_TRAIN = pa.schema([*TRAIN, ("positive_scores", _SCORES), ("negative_scores", _SCORES)])

#: ``duplicates.parquet``: the training queries removed, and the query of which source each matched.
DUPLICATES = pa.schema(
    [
        ("query", pa.int32()),
        ("text", pa.string()),
        ("source", pa.string()),
        ("matched", pa.string()),
        ("distance", pa.int8()),
    ]
)

#: ``plan.parquet``: the rows of every batch, in order. ``query`` is a row of the task's queries,
#: ``positive`` and ``negatives`` rows of its corpus.
PLAN = pa.schema(
    [
        ("step", pa.int32()),
        ("slot", pa.int32()),
        ("task", pa.string()),
        ("query", pa.int32()),
        ("positive", pa.int32()),
        ("negatives", _ROWS),
    ]
)

#: ``reference.parquet``: the frozen reference model's loss on each row of a mixed plan.
REFERENCE = pa.schema([("step", pa.int32()), ("slot", pa.int32()), ("task", pa.string()), ("loss", pa.float32())])

#: ``trajectory.parquet``: one row a step and task. ``rows`` counts the task's rows in the step;
#: losses are their means (null when there are none); ``measurement`` is averaged over the
#: accumulation window and ``gradient`` is the same after clipping; ``weight``, ``mean`` and ``ema``
#: are those after the step's update; ``size`` is the number of training rows of the task.
TRAJECTORY = pa.schema(
    [
        ("step", pa.int32()),
        ("task", pa.string()),
        ("size", pa.int64()),
        ("rows", pa.int32()),
        ("proxy_loss", pa.float64()),
        ("reference_loss", pa.float64()),
        ("measurement", pa.float64()),
        ("gradient", pa.float64()),
        ("effective_rows", pa.float64()),
        ("weight", pa.float64()),
        ("mean", pa.float64()),
        ("ema", pa.float64()),
    ]
)

#: ``heaviest_rows.parquet``: the rows of each task that moved its weight most, the heaviest first. ``query`` is a row
#: of the task's queries, ``positive`` one of its corpus; ``draws`` counts how often the plan has them; ``share`` is
#: their part of all that the task's rows added to its clipped measurement, without regard to sign; ``rows`` counts the
#: task's distinct rows in the plan.
HEAVIEST = pa.schema(
    [
        ("task", pa.string()),
        ("query", pa.int32()),
        ("positive", pa.int32()),
        ("draws", pa.int32()),
        ("reference_loss", pa.float64()),
        ("share", pa.float64()),
        ("rows", pa.int64()),
    ]
)

#: Metrics of a test set with relevance judgements, and of one with answer strings; the first of each is its main one.
RELEVANCE_METRICS = ("ndcg_at_10", "mrr_at_10", "recall_at_100")
ANSWER_METRICS = ("acc_at_100", "acc_at_20", "acc_at_10")
METRICS = RELEVANCE_METRICS + ANSWER_METRICS

#: ``eval/{dataset}.queries.parquet``: the metrics of each query, so that differences can be tested.
#: A test set has one of the two kinds of metrics; the other kind is null.
QUERY_SCORES = pa.schema(
    [("dataset", pa.string()), ("query_id", pa.string()), *((metric, pa.float64()) for metric in METRICS)]
)


def at_dimension(metric: str, dimension: int) -> str:
    """Name of a metric of embeddings that are cut to their first numbers: ``ndcg_at_10@256``."""
    return f"{metric}@{dimension}"


def with_dimensions(dimensions: Iterable[int]) -> pa.Schema:
    """``QUERY_SCORES``, and behind it the same metrics at each of some dimensions."""
    cut = [(at_dimension(metric, size), pa.float64()) for size in dimensions for metric in METRICS]
    return pa.schema([*QUERY_SCORES, *cut])


#: A leak: which text of the dataset (``kind``: query or passage) was found in which text of a training row (``side``:
#: query or positive) of which task, and the share of its groups of characters that are there.
LEAK = pa.struct(
    [
        ("kind", pa.string()),
        ("side", pa.string()),
        ("task", pa.string()),
        ("row", pa.int32()),
        ("share", pa.float64()),
        ("evaluation", pa.string()),
        ("training", pa.string()),
    ]
)

#: ``leaks.parquet``: how many of a dataset's queries and relevant passages a training query, or the positive of a
#: training query, of any task contains; with some examples.
LEAKS = pa.schema(
    [
        ("dataset", pa.string()),
        ("queries", pa.int64()),
        ("passages", pa.int64()),
        ("query_in_query", pa.int64()),
        ("query_in_positive", pa.int64()),
        ("passage_in_query", pa.int64()),
        ("passage_in_positive", pa.int64()),
        ("examples", pa.list_(LEAK)),
    ]
)

# Rows that a streaming reader decodes at a time.
_BATCH = 16_384

_COUNTS = b"tdro.counts"
_ORIGIN = b"tdro.origin"

# A row group of a file written piece by piece: small enough to hold, large enough to compress.
_GROUP_ROWS = 1 << 16
_GROUP_BYTES = 1 << 25


@contextmanager
def replacing(path: str | Path):
    """Yield a temporary path beside ``path``; on success it takes ``path``'s place, else it goes.

    Raises:
        UserError: when the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_table(
    path: str | Path,
    table: pa.Table | Mapping[str, Any],
    schema: pa.Schema,
    counts: Mapping[str, Any] | None = None,
    origin: str | None = None,
) -> None:
    """Write ``table`` (or columns) as ``schema``.

    Args:
        path: File to write.
        table: A table with the schema's columns, or a mapping of them.
        schema: Columns and types.
        counts: What the stage kept and dropped, for the metadata: numbers by name, or such by task.
        origin: Digest of the file that the table was computed from, for the metadata.
    """
    if not isinstance(table, pa.Table):
        table = pa.table({name: table[name] for name in schema.names}, schema=schema)
    table = table.select(schema.names).cast(schema)
    table = table.replace_schema_metadata(_counts_metadata(counts) | ({_ORIGIN: origin} if origin else {}))
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


class TableWriter:
    """Rows of a file that is written piece by piece, row group by row group; see :func:`table_writer`."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer, self._schema = writer, schema
        self._waiting: list[pa.Table] = []

    def append(self, table: pa.Table | Mapping[str, Any]) -> None:
        """Add rows: a table, or a mapping of the schema's columns."""
        if not isinstance(table, pa.Table):
            table = pa.table({name: table[name] for name in self._schema.names}, schema=self._schema)
        self._waiting.append(table.select(self._schema.names).cast(self._schema))
        if sum(map(len, self._waiting)) >= _GROUP_ROWS or sum(t.nbytes for t in self._waiting) >= _GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits as one row group."""
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks())
        self._waiting.clear()


@contextmanager
def table_writer(path: str | Path, schema: pa.Schema, counts: Mapping[str, int] | None = None):
    """Yield a :class:`TableWriter`: :func:`write_table` for tables too large for memory.

    ``counts`` is read when the file is closed, so that it may be filled while rows are written.
    """
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as file:
        writer = TableWriter(file, schema)
        yield writer
        writer.flush()
        file.add_key_value_metadata(_counts_metadata(counts))


def _counts_metadata(counts: Mapping[str, Any] | None) -> dict[bytes, str]:
    return {} if counts is None else {_COUNTS: json.dumps(dict(counts))}


def read_batches(path: str | Path, schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
    """Tables of ``rows`` rows, the last one of fewer, without holding the file in memory.

    Raises:
        UserError: as :func:`read_table`.
    """
    check_columns(path, schema)
    held, number = [], 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(min(rows, _BATCH), columns=schema.names):
            held.append(batch)
            number += len(batch)
            while number >= rows:
                table = pa.Table.from_batches(held)
                yield table.slice(0, rows).cast(schema)
                held, number = table.slice(rows).to_batches(), number - rows
    if number:
        yield pa.Table.from_batches(held).cast(schema)


def read_table(path: str | Path, schema: pa.Schema) -> pa.Table:
    """Read ``schema``'s columns of a Parquet file, which must have them.

    Raises:
        UserError: when the file is missing, is no Parquet file, or lacks a column or has one of another type.
    """
    check_columns(path, schema)
    table = _open(path, lambda: pq.read_table(path, columns=schema.names, memory_map=True))
    try:
        return table.select(schema.names).cast(schema)
    except pa.ArrowException as error:
        raise UserError(
            f"{path} has a column of another type than expected ({error}). "
            "Delete the file and let the workflow make it again."
        ) from None


def read_rows(path: str | Path, schema: pa.Schema, rows: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Some rows of a Parquet file by number; of a large file only the row groups that hold them are read.

    Raises:
        UserError: as :func:`read_table`, and for a row that the file does not have.
    """
    check_columns(path, schema)
    wanted, found, first = sorted(set(rows)), {}, 0
    with pq.ParquetFile(path, memory_map=True) as file:
        for group in range(file.num_row_groups):
            last = first + file.metadata.row_group(group).num_rows
            here = [row for row in wanted if first <= row < last]
            if here:
                table = file.read_row_group(group, columns=schema.names).take([row - first for row in here])
                found |= dict(zip(here, table.to_pylist(), strict=True))
            first = last
    missing = [row for row in wanted if row not in found]
    if missing:
        raise UserError(f"{path} has no row {missing[0]}; delete what was made from an earlier version of it.")
    return found


def read_texts(path: str | Path, column: str) -> Iterator[str]:
    """The texts of one column in order, a batch of them in memory at a time; null reads as empty.

    Raises:
        UserError: when the file is missing or is no Parquet file, or the column is missing or of another type.
    """
    with _open(path, lambda: pq.ParquetFile(path, memory_map=True)) as file:
        if column not in file.schema_arrow.names or not _is_text(file.schema_arrow.field(column).type):
            raise UserError(f"{path} needs a column {column!r} of texts; it has {', '.join(file.schema_arrow.names)}.")
        try:
            for batch in file.iter_batches(columns=[column]):
                yield from (_text(value) for value in batch.column(0).to_pylist())
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: column {column!r} holds bytes that are not UTF-8 ({error}).") from None
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from None


def _text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def _is_text(kind: pa.DataType) -> bool:
    """Whether a column holds texts, which Spark and Impala write as bytes."""
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(kind) for is_kind in (*texts, pa.types.is_binary, pa.types.is_large_binary))


def check_columns(path: str | Path, schema: pa.Schema) -> list[str]:
    """Names of all columns of a Parquet file, which must have ``schema``'s.

    Raises:
        UserError: when the file is missing, is no Parquet file, or lacks a column.
    """
    names = column_names(path)
    missing = [name for name in schema.names if name not in names]
    if missing:
        raise UserError(
            f"{path} has no column {missing[0]!r}; expected {', '.join(schema.names)}. "
            "Delete the file and let the workflow make it again."
        )
    return names


def read_counts(path: str | Path) -> dict[str, Any]:
    """The counts that the stage stored in the Parquet file, in the order in which it took them."""
    metadata = _open(path, lambda: pq.read_metadata(path)).metadata or {}
    return json.loads(metadata.get(_COUNTS, b"{}"))


def read_origin(path: str | Path) -> str | None:
    """Digest of the file that a table was computed from; None where it was not stored."""
    origin = (_open(path, lambda: pq.read_schema(path)).metadata or {}).get(_ORIGIN)
    return origin.decode() if origin else None


def stamps(files: Iterable[Path]) -> list[list]:
    """What tells large files apart without reading them: path, size and time of change of each."""
    return [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def digest(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def count_rows(path: str | Path) -> int:
    """Number of rows of a Parquet file; reads its footer only."""
    return _open(path, lambda: pq.read_metadata(path)).num_rows


def column_names(path: str | Path) -> list[str]:
    """Names of a Parquet file's columns; reads its footer only."""
    return _open(path, lambda: pq.read_schema(path)).names


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON."""
    text = json.dumps(value, indent=4, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: when the file is missing, is not JSON, or says a thing twice.
    """
    try:
        return strictyaml.read_json(Path(path).read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from None


def _open(path: str | Path, read):
    try:
        return read()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the rule that makes it, or correct the path.") from None
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not a readable Parquet file: {reason}") from None
