"""The content of a Parquet file in a few letters, in a small file beside it: ``train.parquet``, ``train.digest``.

A job whose data were made again with the same content need not run again. Snakemake compares the content of small files
only, so the rules watch the digest in the place of the data.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from tdro.artifacts.files import checked, digest, reading, replacing
from tdro.artifacts.layout import Layout

# Rows that are decoded at a time.
_ROWS = 1 << 16


def write_digests(files: Iterable[Path]) -> None:
    """Write the digest of each Parquet file beside it: of its columns and rows, not of what a stage counted."""
    for file in files:
        with replacing(Layout.digest(str(file))) as temporary:
            temporary.write_text(content_digest(file) + "\n", encoding="utf-8")


def known_digest(file: Path) -> str:
    """What tells a file's content: what stands beside it if that is no older, else a digest of the file itself.

    A file of gigabytes need not be read to be compared with one that was there before.
    """
    beside = Path(Layout.digest(str(file)))
    if beside.is_file() and beside.stat().st_mtime_ns >= file.stat().st_mtime_ns:
        return beside.read_text(encoding="utf-8").strip()
    return digest(file)


def content_digest(path: Path) -> str:
    """SHA-256 of the columns and rows of a Parquet file, read piece by piece."""
    found = hashlib.sha256()
    file = checked(path)
    with reading(path):
        found.update(str(file.schema.remove_metadata()).encode())
        for batch in file.batches(_ROWS):
            found.update(batch.serialize())
    return found.hexdigest()
