"""Files that have become others: by their bytes, whatever they are, and by their structure, a function a kind of file.

    shape(random, content) -> content

Everything follows from the generator of random numbers, so that an input is made again from its number.
"""

import gzip
import io
import json
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from fuzz import odd

from tdro.artifacts.parquetsums import seal
from tdro.artifacts.seals import WRITTEN, sealed

#: Makes a file out of a right one.
Shape = Callable[[Random, bytes], bytes]

# No input is longer: a fuzzer looks for what is wrong in small files. Long ones have tests of their own.
_LONGEST = 1 << 16
# Stands in a Parquet file that has checksums.
_RECORD = b"tDROsums"
# Where a file is soon written.
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
# Stands in a text of JSON for a piece that is none.
_HERE = "\ue000"


def mutated(random: Random, content: bytes, shape: Shape) -> bytes:
    """A file with a few mistakes of its structure, of its bytes, or both."""
    structural = random.random() < 0.75
    if structural:
        content = shape(random, content)
    if not structural or random.random() < 0.25:
        content = by_bytes(random, content)
    return content[:_LONGEST]


def by_bytes(random: Random, content: bytes) -> bytes:
    """A file of which one to six places have become others."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        content = random.choice(_BYTEWISE)(random, content)
    return content[:_LONGEST]


def _range(random: Random, content: bytes) -> tuple[int, int]:
    start = random.randrange(len(content) + 1)
    return start, min(len(content), start + random.choice((1, 1, 2, 4, 8, 64, 1024)))


def _flip(random: Random, content: bytes) -> bytes:
    if not content:
        return b"\1"
    place = random.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << random.randrange(8)]) + content[place + 1 :]


def _overwrite(random: Random, content: bytes) -> bytes:
    start, end = _range(random, content)
    return content[:start] + random.randbytes(end - start) + content[end:]


def _insert(random: Random, content: bytes) -> bytes:
    place = random.randrange(len(content) + 1)
    return content[:place] + random.choice(odd.BYTES) + content[place:]


def _replace(random: Random, content: bytes) -> bytes:
    start, end = _range(random, content)
    return content[:start] + random.choice(odd.BYTES) + content[end:]


def _delete(random: Random, content: bytes) -> bytes:
    start, end = _range(random, content)
    return content[:start] + content[end:]


def _repeat(random: Random, content: bytes) -> bytes:
    start, end = _range(random, content)
    return content[:start] + content[start:end] * random.choice((2, 3, 50, 1000)) + content[end:]


def _copy(random: Random, content: bytes) -> bytes:
    (start, end), place = _range(random, content), random.randrange(len(content) + 1)
    return content[:place] + content[start:end] + content[place:]


def _cut(random: Random, content: bytes) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def _behead(random: Random, content: bytes) -> bytes:
    return content[random.randrange(len(content) + 1) :]


_BYTEWISE = (_flip, _flip, _overwrite, _insert, _insert, _replace, _delete, _repeat, _copy, _cut, _behead)


def plain(random: Random, content: bytes) -> bytes:
    """A file of any text: pieces of it have become odd."""
    text = content.decode("utf-8", "surrogateescape")
    for _ in range(random.choice((1, 1, 2, 5))):
        place = random.randrange(len(text) + 1)
        end = min(len(text), place + random.choice((0, 1, 4, 20)))
        text = text[:place] + odd.text(random, text[place:end]) + text[end:]
    return text.encode("utf-8", "surrogatepass" if random.random() < 0.5 else "replace")


def json_document(random: Random, content: bytes) -> bytes:
    """A JSON value of which one to four places have become others; one that was sealed has a seal that fits."""
    value, pieces = json.loads(content), []
    was_sealed = isinstance(value, dict) and value.pop(WRITTEN, None)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        value = _changed(random, value, pieces)
    made = _written(random, value, pieces)
    return _resealed(made) if was_sealed and random.random() < 0.9 else made


def _resealed(content: bytes) -> bytes:
    """An object with a seal; what is no object, or none that can be written, as it is."""
    try:
        return json.dumps(sealed(dict(json.loads(content)))).encode()
    except (ValueError, TypeError, RecursionError):
        return content


def yaml_document(random: Random, content: bytes) -> bytes:
    """A YAML document likewise, written as JSON, which is YAML, or with odd pieces in its lines."""
    if random.random() < 0.8:
        return json_document(random, json.dumps(_loaded(content)).encode())
    return _lines(random, plain(random, content))


@cache
def _loaded(content: bytes) -> Any:
    return yaml.safe_load(content)


def json_lines(random: Random, content: bytes) -> bytes:
    """Lines of JSON of which some values have become others, and some lines."""
    lines = content.splitlines()
    for place in random.sample(range(len(lines)), random.choice((1, 1, 2))):
        lines[place] = json_document(random, lines[place]) if lines[place][:1] in b"{[" else plain(random, lines[place])
    made = b"\n".join(lines) + b"\n" * (random.random() < 0.9)
    return _lines(random, made) if random.random() < 0.3 else made


def _lines(random: Random, content: bytes) -> bytes:
    """Lines that are repeated, left out, blank, or in another order."""
    lines = content.split(b"\n")
    place = random.randrange(len(lines))
    kind = random.randrange(6)
    if kind == 0:
        lines[place:place] = [lines[place]] * random.choice((1, 20))
    elif kind == 1:
        del lines[place]
    elif kind == 2:
        random.shuffle(lines)
    elif kind == 3:
        lines[place] = b" " * random.choice((0, 1, 8)) + lines[place]
    return (b"\r\n" if kind == 4 else b"\r" if kind == 5 else b"\n").join(lines)


def _changed(random: Random, value: Any, pieces: list[str]) -> Any:
    """A value in which one place has become another."""
    place = random.choice(list(_places(value)) or [()])
    return _at(value, place, lambda one: _other(random, one, pieces))


def _places(value: Any, place: tuple = ()):
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from _places(one, (*place, key))


def _at(value: Any, place: tuple, change: Callable[[Any], Any]) -> Any:
    if not place:
        return change(value)
    made = value.copy()
    made[place[0]] = _at(value[place[0]], place[1:], change)
    return made


def _other(random: Random, value: Any, pieces: list[str]) -> Any:
    kind = random.randrange(8)
    if isinstance(value, dict) and value and kind < 5:
        return _other_keys(random, value, kind)
    if isinstance(value, list) and value and kind < 4:
        place = random.randrange(len(value))
        return (value[:place] + value[place + 1 :], value * 2, value[::-1], [*value, random.choice(odd.VALUES)])[kind]
    if isinstance(value, str) and kind < 5:
        return odd.text(random, value)
    if isinstance(value, int | float) and kind < 4:
        return (value * -1, value + 1, value * 1e9, str(value))[kind]
    if kind == 5 and random.random() < 0.5:
        pieces.append(random.choice(odd.RAW))
        return f"{_HERE}{len(pieces) - 1}"
    return (
        random.choice(odd.VALUES)
        if random.random() < 0.7
        else random.choice(([value], {"a": value}, odd.text(random, "a")))
    )


def _other_keys(random: Random, value: dict, kind: int) -> dict:
    key = random.choice(list(value))
    if kind == 0:
        return {name: one for name, one in value.items() if name != key}
    if kind == 1:
        return {odd.text(random, name) if name == key else name: one for name, one in value.items()}
    if kind == 2:
        return value | {odd.text(random, key): random.choice(odd.VALUES)}
    if kind == 3:
        return value | {key: value[random.choice(list(value))]}
    return dict(reversed(value.items()))


def _written(random: Random, value: Any, pieces: list[str]) -> bytes:
    text = json.dumps(value, ensure_ascii=random.random() < 0.5, indent=None)
    for number, piece in enumerate(pieces):
        for mark in (f'"{_HERE}{number}"', f'"\\ue000{number}"'):
            text = text.replace(mark, piece)
    return text.encode("utf-8", "surrogatepass")


def separated(delimiter: bytes) -> Shape:
    """Of tables of text: cells, quotes, and rows with too few or too many of them."""

    def shape(random: Random, content: bytes) -> bytes:
        rows = [line.split(delimiter) for line in content.splitlines()]
        for _ in range(random.choice((1, 1, 2, 4))):
            row = random.choice(rows)
            place = random.randrange(len(row) or 1)
            kind = random.randrange(6)
            if kind == 0 and row:
                del row[place]
            elif kind == 1:
                row.insert(place, random.choice(row) if row else b"x")
            elif kind == 2 and row:
                row[place] = b'"' + row[place] + b'"' * random.randrange(2)
            elif row:
                row[place] = odd.text(random, row[place].decode("utf-8", "replace")).encode("utf-8", "surrogatepass")
        made = b"\n".join(delimiter.join(row) for row in rows) + b"\n" * (random.random() < 0.9)
        return _lines(random, made) if random.random() < 0.3 else made

    return shape


def parquet(random: Random, content: bytes) -> bytes:
    """A table of which some columns have become others, or one of such with mistakes of its bytes.

    Where the right file has checksums, most of the others have some that fit, so that what comes behind them is read.
    """
    made, fitting = _other_file(random, content), _RECORD in content and random.random() < 0.9
    if random.random() < 0.5:
        # pyarrow ends the process at some footers. A reader takes none whose checksum does not fit.
        end = len(made) - 8 - int.from_bytes(made[-8:-4], "little") if fitting else len(made)
        made = by_bytes(random, made[:end]) + made[end:]
    return _with_checksums(made) if fitting else made


def _other_file(random: Random, content: bytes) -> bytes:
    """A table of which some columns have become others; most are made once: to write takes longer than to read."""
    return _with_other_columns(random, content) if random.random() < 0.1 else random.choice(_variants(content))


def _with_checksums(content: bytes) -> bytes:
    """A file with checksums of its own; where columns lie outside of the file, as it is."""
    with tempfile.NamedTemporaryFile(dir=_MEMORY) as file:
        Path(file.name).write_bytes(content)
        try:
            seal(file.name)
        except (OSError, ValueError):
            return content
        return Path(file.name).read_bytes()


@cache
def _variants(content: bytes) -> list[bytes]:
    """The right file, and others."""
    return [content, *(_with_other_columns(Random(number), content) for number in range(100))]


def _with_other_columns(random: Random, content: bytes) -> bytes:
    """A table with other columns, written in one of several ways."""
    table = pq.read_table(io.BytesIO(content), use_threads=False)
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        if table.num_columns:
            table = _other_table(random, table)
    out = io.BytesIO()
    options = {
        "compression": random.choice(("zstd", "none", "snappy")),
        "use_dictionary": random.random() < 0.5,
        "row_group_size": max(random.choice((1, 3, 1000)), table.num_rows // 1000),  # more groups take minutes to write
        "data_page_version": random.choice(("1.0", "2.0")),
    }
    try:
        pq.write_table(table, out, **options)
    except pa.ArrowException:  # pyarrow writes no such table
        return content
    return out.getvalue()


def _other_table(random: Random, table: pa.Table) -> pa.Table:
    place = random.randrange(table.num_columns)
    name, column = table.column_names[place], table.column(place)
    kind = random.randrange(9)
    if kind == 0:
        return table.remove_column(place)
    if kind == 1:
        names = [
            odd.text(random, one).encode("utf-8", "replace").decode() if one == name else one
            for one in table.column_names
        ]
        return table.rename_columns(names)
    if kind == 2:
        return table.append_column(name, column)
    if kind == 3:
        return table.slice(0, random.randrange(table.num_rows + 1))
    if kind == 4:
        return pa.concat_tables([table] * random.choice((2, 40)))
    if kind == 5:
        return table.replace_schema_metadata(
            {"tdro.format": random.choice(("9", "x", "")), "tdro.counts": random.choice(odd.RAW)}
        )
    return table.set_column(place, name, _other_column(random, column))


def _other_column(random: Random, column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    rows = len(column)
    nulls = pa.array([random.random() < 0.3 for _ in range(rows)], pa.bool_())
    listed = random.choice((pa.int32(), pa.string(), pa.float32(), pa.null()))
    made: list[Callable[[], Any]] = [
        lambda: pa.nulls(rows, column.type),
        lambda: pa.nulls(rows),
        lambda: pc.if_else(nulls, pa.scalar(None, column.type), column),
        lambda: pa.array([random.choice((-1, 0, 2**31 - 1, 2**40, -(2**63))) for _ in range(rows)], pa.int64()),
        lambda: pa.array([random.choice((float("nan"), float("inf"), -0.0, 1e308, 0.5)) for _ in range(rows)]),
        lambda: pa.array([odd.text(random, "a").encode("utf-8", "replace").decode() for _ in range(rows)]),
        lambda: pa.array(
            [random.choice(odd.BYTES) for _ in range(rows)], random.choice((pa.binary(), pa.large_binary()))
        ),
        lambda: pa.array([[]] * rows, pa.list_(listed)),
        lambda: pa.array(
            [random.choice((None, [], [None], [7] * 5, [-1], [2**31 - 1])) for _ in range(rows)], pa.list_(pa.int32())
        ),
        lambda: pa.array([random.choice((None, [], [None], ["x"] * 3)) for _ in range(rows)], pa.list_(pa.string())),
        lambda: pa.array([{"text": "a", "docid": 3, "b": [1]}] * rows),
        lambda: pa.array([random.random() < 0.5 for _ in range(rows)]),
        lambda: (
            pa.Array.from_buffers(
                pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe")]
            )
            if rows == 1
            else column.cast(pa.large_string(), safe=False)
        ),
        lambda: column.dictionary_encode(),
        lambda: pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), column.combine_chunks()),
    ]
    try:
        return random.choice(made)()
    except (pa.ArrowException, OverflowError):  # this column can be no such one
        return pa.nulls(rows, column.type)


def gzipped(shape: Shape) -> Shape:
    """Of packed files: what is in them, sometimes with another end, and always packed again."""

    def packed(random: Random, content: bytes) -> bytes:
        made = mutated(random, gzip.decompress(content), shape)
        again = gzip.compress(made, 1, mtime=0)
        if random.random() < 0.1:
            again += random.choice((again, b"\0" * 40, b"x", gzip.compress(b"")))
        return again

    return packed


#: Names of files in archives: paths that leave the folder, of other systems, of bytes that are no text.
_NAMES = (
    "../../x.jsonl", "/x.jsonl", "a/../../x.jsonl", "..\\x.jsonl", "C:/x.jsonl", "", ".", "..", "a/", "a//b.jsonl",
    "./a.jsonl", "caf\udce9.jsonl", "\u202ea.jsonl", "a\nb.jsonl", "\x1b[31m.jsonl", "x" * 300 + ".jsonl",
    "._a.jsonl", "a.jsonl", "con.jsonl",
)  # fmt: skip
_KINDS = (
    tarfile.REGTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.FIFOTYPE,
    tarfile.DIRTYPE,
    tarfile.GNUTYPE_SPARSE,
)


def tar(random: Random, content: bytes) -> bytes:
    """A packed tar archive with members of other names, kinds and sizes."""
    out = io.BytesIO()
    members = _members(random, _of_tar(content))
    kind = random.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT))
    with tarfile.open(fileobj=out, mode="w", format=kind, errors="surrogateescape") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            if random.random() < 0.3:
                member.type, member.linkname = random.choice(_KINDS), random.choice(_NAMES)
            if random.random() < 0.1:
                member.pax_headers = {
                    random.choice(("path", "size", "x", "GNU.sparse.map")): random.choice(("9" * 30, "../x", ""))
                }
            try:
                archive.addfile(member, io.BytesIO(data))
            except ValueError:  # a name that this form cannot have
                continue
    made = out.getvalue() if random.random() < 0.7 else by_bytes(random, out.getvalue())
    return zlib.compress(made, 1, wbits=31)


def zipped(random: Random, content: bytes) -> bytes:
    """A zip archive likewise."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = _members(random, [(name, archive.read(name)) for name in archive.namelist()])
    with zipfile.ZipFile(out, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, data in members:
            member = zipfile.ZipInfo("x")
            member.filename = name.encode("utf-8", "replace").decode()
            member.compress_type = archive.compression
            if random.random() < 0.1:
                member.external_attr = 0o120777 << 16  # a link
            archive.writestr(member, data)
    return out.getvalue()


def _of_tar(content: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive if member.isfile()]


def _members(random: Random, members: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    made = list(members)
    for _ in range(random.choice((0, 1, 1, 2))):
        place = random.randrange(len(made))
        name, data = made[place]
        kind = random.randrange(5)
        if kind == 0:
            made[place] = random.choice(_NAMES), data
        elif kind == 1:
            made.append((random.choice(_NAMES), data))
        elif kind == 2:
            made[place] = name, by_bytes(random, data)
        elif kind == 3:
            made.append((name, b"\0" * random.choice((0, 1, 5000))))
        elif len(made) > 1:
            del made[place]
    return made
