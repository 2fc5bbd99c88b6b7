"""Files and archives as people have them, and what readers make of them."""

import gzip
import io
import json
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq

from tdro.config.registry import Columns, Source
from tdro.readers.base import BadRow, rows


def items(reader, path, split="train"):
    """All that a reader yields; a table has columns of the names that JSON lines have."""
    columns = Columns(query="query", positive="positive") if reader == "table" else None
    return list(rows(Source(reader=reader, path=str(path), columns=columns), split))


def table(path, query="q", positive="p", **columns):
    """All that the reader of tables yields."""
    columns = Columns(query=query, positive=positive, **columns)
    return list(rows(Source(reader="table", path=str(path), columns=columns)))


def bad(found):
    """Where and why of the malformed rows, the folder left out."""
    return [(row.place.rpartition("/")[2], row.reason) for row in found if isinstance(row, BadRow)]


def written(path, content):
    """A file of bytes as they are, of text, or of a list of values as JSON lines; packed where its name ends in gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, list):
        content = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in content)
    if isinstance(content, str):
        content = gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode()
    path.write_bytes(content)
    return path


def written_records(path, names, records):
    """A file of tuples of cells in the form that its name says."""
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind == "parquet":
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = zip(*records, strict=True) if records else [()] * len(names)
        types = None if records else pa.string()
        arrays = {name: pa.array(cells, types) for name, cells in zip(names, columns, strict=True)}
        pq.write_table(pa.table(arrays), path, row_group_size=1)
        return path
    if kind == "jsonl":
        return written(path, [dict(zip(names, record, strict=True)) for record in records])
    separator, quote = (",", '"') if kind == "csv" else ("\t", "")
    lines = [separator.join(f"{quote}{cell}{quote}" for cell in record) for record in (names, *records)]
    return written(path, "".join(f"{line}\r\n" for line in lines))


def tarred(files, links=(), mode="w:gz"):
    """The bytes of a tar archive of files (name: bytes) and of links (name, type, target)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, kind, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return packed.getvalue()


def zipped(files):
    """The bytes of a zip archive of files (name: bytes or text)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()
