"""The content of a Parquet file in a few letters, in a small file beside it: ``train.parquet``, ``train.digest``.

A job whose data were made again with the same content need not run again. Snakemake compares the content of small files
only, so the rules watch the digest in the place of the data.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from tdro.artifacts.files import replacing
from tdro.artifacts.layout import Layout


def write_digests(files: Iterable[Path]) -> None:
    """Write the digest of each Parquet file beside it: of its columns and rows, not of what a stage counted."""
    for file in files:
        with replacing(Layout.digest(str(file))) as temporary:
            temporary.write_text(content_digest(file) + "\n", encoding="utf-8")


def content_digest(path: Path) -> str:
    """SHA-256 of the columns and rows of a Parquet file, read piece by piece."""
    found = hashlib.sha256()
    with pq.ParquetFile(path, memory_map=True) as file:
        found.update(str(file.schema_arrow.remove_metadata()).encode())
        for batch in file.iter_batches():
            found.update(batch.serialize())
    return found.hexdigest()
