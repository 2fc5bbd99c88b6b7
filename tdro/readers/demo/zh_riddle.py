"""Chinese two-part sayings (xiehouyu): the first half -> the second (jionlp)."""

import io
import zipfile
from collections.abc import Iterator

from tdro.readers.archives import Archive
from tdro.readers.base import Passage, Row


def read(archive: Archive) -> Iterator[Row]:
    """Yield a row a saying."""
    for first, second in zipped_lines(archive, "xiehouyu"):
        yield Row(first, [Passage(second)])


def zipped_lines(archive: Archive, dictionary: str) -> Iterator[tuple[str, str]]:
    """The two columns of one of the package's zipped dictionaries; lines of another shape are skipped."""
    with zipfile.ZipFile(io.BytesIO(archive.read(f"jionlp/dictionary/{dictionary}.zip"))) as inner:
        lines = inner.read(f"{dictionary}.txt").decode("utf-8").split("\n")
    for line in lines:
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) == 2 and all(cells):
            yield cells[0], cells[1]
