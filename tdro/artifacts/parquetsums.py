"""Checksums of a Parquet file, in the file itself, which every other reader of Parquet passes over.

Parquet's own checksums are those of pages. The headers of pages have none, nor has the footer, which says where columns
lie and of which type they are. So a record stands between the last row group and the footer, where the format leaves
room:

    PAR1, row groups, CRC-32 of each column of each row group, their number, CRC-32, tDROsums, footer, length, PAR1

The last CRC-32 is that of all checksums, their number, and the footer to the end of the file. A reader verifies it
before it believes the footer, and of the columns those that it reads before it decodes them.
"""

import os
import struct
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tdro.artifacts.seals import check_format, damaged, unknown

#: Keys of a footer: the number of our format, and the version that wrote the file.
FORMAT_KEY, VERSION_KEY = b"tdro.format", b"tdro.version"

_MARK = b"tDROsums"
_NAME = b"PAR1"
_NUMBER = struct.Struct("<I")
# What stands behind the checksums of columns, and behind the footer.
_RECORD_END = struct.Struct(f"<II{len(_MARK)}s")
_FILE_END = struct.Struct(f"<I{len(_NAME)}s")
_PIECE = 1 << 20


def seal(path: str | Path) -> None:
    """Write the record into a finished Parquet file."""
    with Path(path).open("r+b") as file:
        start, footer = _footer(file)
        metadata = _parsed(footer)
        groups, columns = range(metadata.num_row_groups), range(metadata.num_columns)
        sums = b"".join(_NUMBER.pack(_crc(file, metadata, group, column)) for group in groups for column in columns)
        number = len(groups) * len(columns)
        file.seek(start)
        file.write(sums + _RECORD_END.pack(number, _crc_of_record(sums, number, footer), _MARK) + footer)


class CheckedParquet:
    """A Parquet file whose footer has been verified, and whose columns are verified as they are read.

    Row groups are read one after the other, so that of a large file one is in memory.

    Args:
        path: The file.
        ours: Whether this package must have written it. A table of a user's need not have checksums.

    Attributes:
        metadata: What its footer says.
        schema: Its columns, and the metadata of them.

    Raises:
        UserError: when the footer is not what was written, or another version or program has written it.
        ArrowInvalid: when it is no Parquet file.
    """

    def __init__(self, path: str | Path, *, ours: bool = True) -> None:
        self._path = Path(path)
        with self._path.open("rb") as file:
            start, footer = _footer(file)
            self._sums = _sums(file, start, footer)
        self.metadata = _parsed(footer)
        self.schema = self.metadata.schema.to_arrow_schema()
        written = self.metadata.metadata or {}
        if ours or FORMAT_KEY in written:
            _check_origin(path, written)
            if self._sums is None:
                raise damaged(path)

    def check(self, columns: Collection[str] | None = None, groups: Iterable[int] | None = None) -> None:
        """Verify columns of row groups; all of them where None are given.

        Raises:
            UserError: when they are not what was written.
        """
        if self._sums is None:
            return
        names = [self.metadata.schema.column(n).path.partition(".")[0] for n in range(self.metadata.num_columns)]
        numbers = [number for number, name in enumerate(names) if columns is None or name in columns]
        with self._path.open("rb") as file:
            for group in range(self.metadata.num_row_groups) if groups is None else groups:
                for number in numbers:
                    if _crc(file, self.metadata, group, number) != self._sums[group * len(names) + number]:
                        raise damaged(self._path)

    def batches(
        self, rows: int, columns: Sequence[str] | None = None, groups: Iterable[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Batches of up to ``rows`` rows, none of which reaches into the next row group."""
        with pq.ParquetFile(self._path, metadata=self.metadata) as file:
            for group in range(self.metadata.num_row_groups) if groups is None else groups:
                self.check(columns, [group])
                yield from file.iter_batches(rows, row_groups=[group], columns=columns)

    def row_group(self, group: int, columns: Sequence[str], *, threads: bool = True) -> pa.Table:
        """One row group."""
        self.check(columns, [group])
        with pq.ParquetFile(self._path, metadata=self.metadata, memory_map=True) as file:
            return file.read_row_group(group, columns=columns, use_threads=threads)


def _check_origin(path: str | Path, written: Mapping[bytes, bytes]) -> None:
    """Raises UserError: for a file of another program, or of a version whose files are others."""
    if FORMAT_KEY not in written:
        raise unknown(path)
    number = written[FORMAT_KEY]
    version = written.get(VERSION_KEY, b"?").decode(errors="replace")
    check_format(path, int(number) if number.isdigit() else number, version)


def _footer(file: BinaryIO) -> tuple[int, bytes]:
    """Where the footer begins, and its bytes to the end of the file.

    Raises:
        ArrowInvalid: when there is none.
    """
    size = file.seek(0, os.SEEK_END)
    if size < len(_NAME) + _FILE_END.size:
        raise pa.ArrowInvalid(f"it has {size} bytes, fewer than any Parquet file")
    file.seek(size - _FILE_END.size)
    length, name = _FILE_END.unpack(file.read())
    start = size - _FILE_END.size - length
    if name != _NAME or start < len(_NAME):
        raise pa.ArrowInvalid("it does not end as one, so it is cut off or something else")
    file.seek(start)
    return start, file.read()


def _sums(file: BinaryIO, start: int, footer: bytes) -> tuple[int, ...] | None:
    """The checksums that stand before the footer, in the order of row groups and columns; None where there are none.

    Raises:
        UserError: when they, or the footer, are not what was written.
    """
    end = start - _RECORD_END.size
    if end < 0:
        return None
    file.seek(end)
    number, expected, mark = _RECORD_END.unpack(file.read(_RECORD_END.size))
    if mark != _MARK:
        return None
    first = max(0, end - number * _NUMBER.size)
    file.seek(first)
    sums = file.read(end - first)
    if _crc_of_record(sums, number, footer) != expected:
        raise damaged(file.name)
    return struct.unpack(f"<{number}I", sums)


def _crc_of_record(sums: bytes, number: int, footer: bytes) -> int:
    return zlib.crc32(footer, zlib.crc32(_NUMBER.pack(number), zlib.crc32(sums)))


def _parsed(footer: bytes) -> pq.FileMetaData:
    return pq.read_metadata(pa.BufferReader(_NAME + footer))


def _crc(file: BinaryIO, metadata: pq.FileMetaData, group: int, column: int) -> int:
    """CRC-32 of a column of a row group, which is all between its first page and its last."""
    chunk = metadata.row_group(group).column(column)
    file.seek(chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset)
    left, found = chunk.total_compressed_size, 0
    while left and (piece := file.read(min(_PIECE, left))):
        found, left = zlib.crc32(piece, found), left - len(piece)
    return found
