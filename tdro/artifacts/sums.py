"""Checksums of files that have no room for one of their own, such as weights and arrays.

    FOLDER/checksums.json    size and CRC-32 of every other file below FOLDER, written last

It marks a folder as whole. Cards (``*.md``) are left out, as people edit them.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

from tdro.artifacts.files import read_json, write_json
from tdro.artifacts.shapes import expecting
from tdro.errors import UserError

CHECKSUMS = "checksums.json"
_PIECE = 1 << 20


def crc(file: Path) -> str:
    """CRC-32 of a file, as eight hexadecimal digits."""
    found = 0
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            found = zlib.crc32(piece, found)
    return f"{found:08x}"


def write_sums(folder: Path) -> None:
    """Write the checksums of all files below a folder."""
    files = {file.relative_to(folder).as_posix(): file for file in _files(folder)}
    content = {name: {"size": file.stat().st_size, "crc32": crc(file)} for name, file in files.items()}
    write_json(folder / CHECKSUMS, {"files": content})


def damage(folder: Path) -> str | None:
    """What is wrong with a folder's files by its ``checksums.json``; None where nothing is.

    Files that have come since are passed over: who takes one away or changes one is told.
    """
    try:
        content = read_json(folder / CHECKSUMS)
        with expecting(folder / CHECKSUMS, "list of checksums"):
            stated = {str(name): (one["size"], one["crc32"]) for name, one in content["files"].items()}
    except UserError as error:
        return str(error)
    for name, (size, expected) in stated.items():
        file = folder / name
        if not file.is_file():
            return f"{file} is not there"
        if file.stat().st_size != size or crc(file) != expected:
            return f"{file} is damaged: its content is not what was written"
    return None


def check_cached(folder: Path) -> None:
    """Verify a folder of the cache; one that an older version made has no checksums.

    Raises:
        UserError: when a file of it is not what was written.
    """
    if (folder / CHECKSUMS).is_file() and (problem := damage(folder)):
        raise UserError(f"{problem}; delete the folder {folder}, which is then made again.")


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix != ".md" and file != folder / CHECKSUMS:
            yield file
