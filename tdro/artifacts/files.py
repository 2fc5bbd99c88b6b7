"""How files are written and read.

Every file is written under a temporary name, brought to the disk and renamed, so that a reader never sees half of one,
not even after a power cut. Counts of a stage (rows read, rows dropped and why) travel in a Parquet file's metadata,
and so do the version that wrote it and the number of the format. Each page of such a file has a checksum, which every
reader verifies: a bit that a disk has turned is found by the next rule.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tdro import __version__
from tdro.artifacts import strictyaml
from tdro.artifacts.beside import beside, entry_to_disk, to_disk
from tdro.artifacts.fulldisk import naming
from tdro.artifacts.schemas import NULLABLE
from tdro.artifacts.shapes import expecting
from tdro.errors import UserError

# A page of a file has a checksum of its own.
_WRITING: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}

# Rows that a streaming reader decodes at a time.
_BATCH = 16_384
# Rows of a batch of a file that was decoded.
_DECODED = 8192

_AGAIN = "Delete the file and let the workflow make it again."

_COUNTS = b"tdro.counts"
_ORIGIN = b"tdro.origin"
_VERSION = b"tdro.version"
_FORMAT = b"tdro.format"

#: Grows when columns keep their names and types and mean something else; a reader refuses what a later one wrote.
FORMAT = 1

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
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = beside(path)
        try:
            yield temporary
            to_disk(temporary)
            temporary.replace(path)
            entry_to_disk(path)
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
    table = table.replace_schema_metadata(_metadata(counts) | ({_ORIGIN: origin} if origin else {}))
    with replacing(path) as temporary:
        pq.write_table(table, temporary, **_WRITING)


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
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, **_WRITING) as file:
        writer = TableWriter(file, schema)
        yield writer
        writer.flush()
        file.add_key_value_metadata(_metadata(counts))


def _metadata(counts: Mapping[str, Any] | None) -> dict[bytes, str]:
    written_by = {_FORMAT: str(FORMAT), _VERSION: __version__}
    return written_by if counts is None else written_by | {_COUNTS: json.dumps(dict(counts))}


def open_parquet(path: str | Path) -> pq.ParquetFile:
    """A Parquet file as a memory map; its pages are verified as they are read (use it inside :func:`reading`)."""
    return pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Name the Parquet file that is read inside.

    Raises:
        UserError: in the place of an error of Arrow's, as of a file that is missing or damaged.
    """
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the rule that makes it, or correct the path.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} holds bytes that are not UTF-8 ({error.reason}); make it again.") from None
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if "CRC checksum" in reason:
            said = "is damaged: its content is not what was written. Delete it and let the workflow make it again."
            raise UserError(f"{path} {said}") from None
        raise UserError(f"{path} is not a readable Parquet file: {reason}") from None


def read_batches(
    path: str | Path, schema: pa.Schema, rows: int, first: int = 0, end: int | None = None
) -> Iterator[pa.Table]:
    """Tables of ``rows`` rows, the last one of fewer, without holding the file in memory.

    Args:
        path: File to read.
        schema: Columns and types.
        rows: Of a table.
        first: Row to begin with; row groups before it are not read.
        end: Row to end before; None reads to the last one.

    Raises:
        UserError: as :func:`read_table`.
    """
    check_columns(path, schema)
    held, number = [], 0
    with reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        groups, start = _row_groups(file.metadata, first, end)
        for batch in file.iter_batches(min(rows, _BATCH), row_groups=groups, columns=schema.names):
            inside = slice(max(first - start, 0), len(batch) if end is None else max(end - start, 0))
            start, batch = start + len(batch), batch[inside]
            held.append(batch)
            number += len(batch)
            while number >= rows:
                table = pa.Table.from_batches(held)
                yield _typed(path, table.slice(0, rows), schema)
                held, number = table.slice(rows).to_batches(), number - rows
    if number:
        yield _typed(path, pa.Table.from_batches(held), schema)


def _row_groups(metadata: pq.FileMetaData, first: int, end: int | None) -> tuple[list[int], int]:
    """The row groups that hold these rows, and the first row of the first of them."""
    starts = [0, *accumulate(metadata.row_group(n).num_rows for n in range(metadata.num_row_groups))]
    end = metadata.num_rows if end is None else end
    groups = [n for n in range(metadata.num_row_groups) if starts[n] < end and first < starts[n + 1]]
    return groups, starts[groups[0]] if groups else first


def read_table(path: str | Path, schema: pa.Schema, where: pc.Expression | None = None) -> pa.Table:
    """Read ``schema``'s columns of a Parquet file, which must have them.

    Args:
        path: File to read.
        schema: Columns and types.
        where: Which rows; row groups that have none of them are not read.

    Raises:
        UserError: when the file is missing, is no Parquet file, or lacks a column or has one of another type.
    """
    check_columns(path, schema)
    with reading(path):
        verified = {"memory_map": True, "page_checksum_verification": True}
        table = pq.read_table(path, columns=schema.names, filters=where, **verified)
    return _typed(path, table, schema)


def _typed(path: str | Path, table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with ``schema``'s types, in which no cell is empty that has no leave to be.

    Raises:
        UserError: when it has others.
    """
    try:
        typed = table.select(schema.names).cast(schema)
        typed.validate(full=True)  # texts are UTF-8: 2 to 7 GB of them a second
    except pa.ArrowException as error:
        raise UserError(
            f"{path} has a column of another type than expected ({' '.join(str(error).split())}). {_AGAIN}"
        ) from None
    for name, column in zip(typed.column_names, typed.columns, strict=True):
        if name.partition("@")[0] not in NULLABLE and (column.null_count or _gaps(column)):
            raise UserError(f"{path} has an empty cell in its column {name!r}, where no rule leaves one. {_AGAIN}")
    return typed


def _gaps(column: pa.ChunkedArray) -> int:
    """Empty places in lists; scores may have some."""
    if not pa.types.is_list(column.type) or column.type.value_type == pa.float32():
        return 0
    return pc.list_flatten(column).null_count


def decoded(source: Path, schema: pa.Schema, path: Path) -> pa.ipc.RecordBatchFileReader:
    """Columns of a Parquet file, decoded once into the Arrow file ``path`` and mapped, for who reads them in any order.

    Raises:
        UserError: as :func:`read_table`.
    """
    with pa.ipc.new_file(str(path), schema) as file:
        for table in read_batches(source, schema, _DECODED):
            file.write_table(table.combine_chunks())
    return pa.ipc.open_file(pa.memory_map(str(path)))


def read_rows(path: str | Path, schema: pa.Schema, rows: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Some rows of a Parquet file by number; of a large file only the row groups that hold them are read.

    Raises:
        UserError: as :func:`read_table`, and for a row that the file does not have.
    """
    check_columns(path, schema)
    wanted, found, first = sorted(set(rows)), {}, 0
    with reading(path), open_parquet(path) as file:
        for group in range(file.num_row_groups):
            last = first + file.metadata.row_group(group).num_rows
            here = [row for row in wanted if first <= row < last]
            if here:
                table = file.read_row_group(group, columns=schema.names).take([row - first for row in here])
                table = _typed(path, table, schema)
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
    with reading(path), open_parquet(path) as file:
        if file.schema_arrow.names.count(column) != 1 or not _is_text(file.schema_arrow.field(column).type):
            raise UserError(f"{path} needs a column {column!r} of texts; it has {', '.join(file.schema_arrow.names)}.")
        try:
            for batch in file.iter_batches(columns=[column]):
                yield from (_text(value) for value in batch.column(0).to_pylist())
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: column {column!r} holds bytes that are not UTF-8 ({error}).") from None


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
        UserError: when the file is missing, is no Parquet file, was written by a later version, or lacks a column.
    """
    with reading(path):
        footer = pq.read_metadata(path)
    _check_format(path, footer.metadata or {})
    names = footer.schema.to_arrow_schema().names
    wrong = [name for name in schema.names if names.count(name) != 1]
    if wrong:
        has = "has two columns" if wrong[0] in names else "has no column"
        raise UserError(f"{path} {has} {wrong[0]!r}; expected {', '.join(schema.names)}. {_AGAIN}")
    return names


def _check_format(path: str | Path, metadata: Mapping[bytes, bytes]) -> None:
    written = metadata.get(_FORMAT, b"0")
    if not written.isdigit() or int(written) > FORMAT:
        version = metadata.get(_VERSION, b"?").decode(errors="replace")
        raise UserError(
            f"{path} was written by tDRO {version}, which is newer than this one "
            f"({__version__}). Install that version, or delete the file and let the workflow make it again."
        )


def read_counts(path: str | Path) -> dict[str, Any]:
    """The counts that the stage stored in the Parquet file, in the order in which it took them."""
    with reading(path):
        metadata = pq.read_metadata(path).metadata or {}
    with expecting(path, "file of ours", "make it again"):
        return dict(json.loads(metadata.get(_COUNTS, b"{}")))


def read_origin(path: str | Path) -> str | None:
    """Digest of the file that a table was computed from; None where it was not stored."""
    with reading(path):
        origin = (pq.read_schema(path).metadata or {}).get(_ORIGIN)
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
    with reading(path):
        return pq.read_metadata(path).num_rows


def column_names(path: str | Path) -> list[str]:
    """Names of a Parquet file's columns; reads its footer only."""
    with reading(path):
        return pq.read_schema(path).names


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
    except RecursionError:
        raise UserError(f"{path} is not JSON that can be read: it is nested too deeply.") from None
