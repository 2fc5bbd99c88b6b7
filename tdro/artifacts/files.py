"""How files are written and read.

Every file is written under a temporary name, brought to the disk and renamed, so that a reader never sees half of one,
not even after a power cut. Counts of a stage (rows read, rows dropped and why) travel in a Parquet file's metadata.
Every file has a checksum, the version that wrote it and the number of its format, which every reader verifies: a bit
that a disk has turned, or a file of another program, is found by the next rule.
"""

import hashlib
import json
import logging
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
from tdro.artifacts.makers import maker
from tdro.artifacts.parquetsums import FORMAT_KEY, VERSION_KEY, CheckedParquet, seal
from tdro.artifacts.schemas import NULLABLE
from tdro.artifacts.seals import FORMAT, WRITTEN, advice, again, opened, sealed
from tdro.artifacts.shapes import expecting
from tdro.errors import UserError

log = logging.getLogger(__name__)

_COMPRESSION = "zstd"

# Rows that a streaming reader decodes at a time.
_BATCH = 16_384
# Rows of a batch of a file that was decoded.
_DECODED = 8192

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
        pq.write_table(table, temporary, compression=_COMPRESSION)
        seal(temporary)


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
    with replacing(path) as temporary:
        with pq.ParquetWriter(temporary, schema, compression=_COMPRESSION) as file:
            writer = TableWriter(file, schema)
            yield writer
            writer.flush()
            file.add_key_value_metadata(_metadata(counts))
        seal(temporary)


def _metadata(counts: Mapping[str, Any] | None) -> dict[bytes, str]:
    written_by = {FORMAT_KEY: str(FORMAT), VERSION_KEY: __version__}
    return written_by if counts is None else written_by | {_COUNTS: json.dumps(dict(counts))}


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
        raise UserError(f"{path} is not a readable Parquet file: {reason}.{advice(path)}") from None


def checked(path: str | Path, *, ours: bool = True) -> CheckedParquet:
    """A Parquet file to be read inside :func:`reading`; its footer alone has been read.

    Args:
        path: The file.
        ours: Whether this package must have written it. A table of a user's need not have checksums.

    Raises:
        UserError: when the file is missing or damaged, or another program or version has written one of ours.
    """
    with reading(path):
        return CheckedParquet(path, ours=ours)


def verified(path: str | Path) -> Path:
    """A Parquet file of ours of which every byte has been verified, for libraries that do not verify.

    Raises:
        UserError: as :func:`checked`.
    """
    file = checked(path)
    with reading(path):
        file.check()
    return Path(path)


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
    file, held, number = _with_columns(path, schema), [], 0
    with reading(path):
        groups, start = _row_groups(file.metadata, first, end)
        for batch in file.batches(min(rows, _BATCH), schema.names, groups):
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
        where: Which rows; row groups that have none of them are not decoded.

    Raises:
        UserError: when the file is missing, is no Parquet file of ours, is damaged, or lacks a column or has one of
            another type.
    """
    file = _with_columns(path, schema)
    with reading(path):
        file.check(schema.names)
        table = pq.read_table(path, columns=schema.names, filters=where, memory_map=True)
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
            f"{path} has a column of another type than expected ({' '.join(str(error).split())}). {again(path)}"
        ) from None
    for name, column in zip(typed.column_names, typed.columns, strict=True):
        if name.partition("@")[0] not in NULLABLE and (column.null_count or _gaps(column)):
            raise UserError(f"{path} has an empty cell in its column {name!r}, where no rule leaves one. {again(path)}")
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
    file, wanted, found, first = _with_columns(path, schema), sorted(set(rows)), {}, 0
    with reading(path):
        for group in range(file.metadata.num_row_groups):
            last = first + file.metadata.row_group(group).num_rows
            here = [row for row in wanted if first <= row < last]
            if here:
                table = _typed(path, file.row_group(group, schema.names).take([row - first for row in here]), schema)
                found |= dict(zip(here, table.to_pylist(), strict=True))
            first = last
    missing = [row for row in wanted if row not in found]
    if missing:
        raise UserError(f"{path} has no row {missing[0]}; delete what was made from an earlier version of it.")
    return found


def read_texts(path: str | Path, column: str) -> Iterator[str]:
    """The texts of one column in order, a batch of them in memory at a time; null reads as empty.

    The file may be a table of a user's, which has no checksums, unless it lies where a rule writes.

    Raises:
        UserError: when the file is missing, damaged or no Parquet file, or the column is missing or of another type.
    """
    file = checked(path, ours=maker(path) is not None)
    with reading(path):
        names = file.schema.names
        if names.count(column) != 1 or not _is_text(file.schema.field(column).type):
            raise UserError(f"{path} needs a column {column!r} of texts; it has {', '.join(names)}.{advice(path)}")
        try:
            for batch in file.batches(_BATCH, [column]):
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
    """Names of all columns of a Parquet file, which must have ``schema``'s; reads its footer only.

    Raises:
        UserError: when the file is missing, is no Parquet file of this version, or lacks a column.
    """
    return _with_columns(path, schema).schema.names


def _with_columns(path: str | Path, schema: pa.Schema) -> CheckedParquet:
    """Raises UserError: as :func:`check_columns`."""
    file = checked(path)
    names = file.schema.names
    wrong = [name for name in schema.names if names.count(name) != 1]
    if wrong:
        has = "has two columns" if wrong[0] in names else "has no column"
        raise UserError(f"{path} {has} {wrong[0]!r}; expected {', '.join(schema.names)}. {again(path)}")
    return file


def read_counts(path: str | Path) -> dict[str, Any]:
    """The counts that the stage stored in the Parquet file, in the order in which it took them."""
    metadata = checked(path).metadata.metadata or {}
    with expecting(path, "file of ours", "make it again"):
        return dict(json.loads(metadata.get(_COUNTS, b"{}")))


def read_origin(path: str | Path) -> str | None:
    """Digest of the file that a table was computed from; None where it was not stored."""
    origin = (checked(path).metadata.metadata or {}).get(_ORIGIN)
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
    return checked(path).metadata.num_rows


def column_names(path: str | Path, *, ours: bool = True) -> list[str]:
    """Names of a Parquet file's columns, which may be one of a user's; reads its footer only."""
    return checked(path, ours=ours).schema.names


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write an object as indented JSON, sealed."""
    with replacing(path) as temporary:
        temporary.write_text(json_text(sealed(value)), encoding="utf-8")


def json_text(value: Any) -> str:
    """A value as indented JSON."""
    return json.dumps(value, indent=4, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: str | Path) -> dict[str, Any]:
    """The object of a JSON file of ours, without its seal.

    Raises:
        UserError: when the file is missing, is not JSON, says a thing twice, is damaged, or was written by another
            program or version.
    """
    return opened(_parsed(path, f" {again(path)}"), path)


def read_note(path: str | Path) -> dict[str, Any]:
    """The object of a JSON file that a run of before has left; empty where there is none that can be used."""
    if not Path(path).is_file():
        return {}
    try:
        return read_json(path)
    except UserError as error:
        log.info("%s", error)
        return {}


def read_given_json(path: str | Path) -> Any:
    """The content of a JSON file that a person or another program may have written: it is sealed or not.

    Raises:
        UserError: when the file is missing, is not JSON, says a thing twice, or has a seal that does not fit it.
    """
    content = _parsed(path, advice(path))
    if not isinstance(content, dict) or WRITTEN not in content:
        return content
    try:
        return opened(content, path)
    except UserError as error:
        raise UserError(f"{error} If you have edited it, take its key `{WRITTEN}` away.") from None


def _parsed(path: str | Path, then: str) -> Any:
    try:
        return strictyaml.read_json(Path(path).read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}.{then}") from None
    except RecursionError:
        raise UserError(f"{path} is not JSON that can be read: it is nested too deeply.{then}") from None
