"""How many rows a local source has, about and at once: a start of a job tells by it how long it will take."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from tdro.config.registry import Source
from tdro.readers.parts import local_files

# Bytes that the mean length of a line is taken of.
_READ = 1 << 20
# Of readers with a row a line.
_LINES = ("jsonl", "released", "table")


def about(source: Source) -> int | None:
    """The number of rows, of text files an estimate; None where only reading tells, as of packed files and the hub."""
    if source.hub or source.package or source.reader not in _LINES:
        return None
    return of_files(map(Path, local_files(source.path)))


def of_files(files: Iterable[Path]) -> int | None:
    """The same of files."""
    total = 0
    try:
        for file in files:
            if file.name.lower().endswith((".gz", ".tgz")):
                return None
            total += pq.read_metadata(file).num_rows if file.name.lower().endswith(".parquet") else _lines(file)
    except (OSError, ValueError):  # what cannot be read is told by who reads it
        return None
    return total or None


def _lines(file: Path) -> int:
    """Lines of a text, by the length of the first ones."""
    with file.open("rb") as stream:
        start = stream.read(_READ)
    lines = start.count(b"\n")
    return round(file.stat().st_size / len(start) * lines) if start else 0
