"""The content of a Parquet file in a few letters, in a small file beside it: ``train.parquet``, ``train.digest``.

A job whose data were made again with the same content need not run again. Snakemake compares the content of small files
only, so the rules watch the digest in the place of the data.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from tdro.artifacts.files import digest, open_parquet, reading, replacing
from tdro.artifacts.layout import Layout


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
    with reading(path), open_parquet(path) as file:
        found.update(str(file.schema_arrow.remove_metadata()).encode())
        for batch in file.iter_batches():
            found.update(batch.serialize())
    return found.hexdigest()
