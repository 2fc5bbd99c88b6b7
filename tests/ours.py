"""Parquet files of any content, sealed as those of a rule; and a disk that turns a bit."""

import pyarrow as pa
import pyarrow.parquet as pq

from tdro import __version__
from tdro.artifacts.parquetsums import FORMAT_KEY, VERSION_KEY, seal
from tdro.artifacts.seals import FORMAT


def write_sealed(path, table, **options):
    """Write a table, or columns, with whatever metadata it has; ``options`` are those of ``pq.write_table``."""
    table = table if isinstance(table, pa.Table) else pa.table(table)
    written = {FORMAT_KEY: str(FORMAT), VERSION_KEY: __version__} | (table.schema.metadata or {})
    pq.write_table(table.replace_schema_metadata(written), path, **options)
    seal(path)
    return path


def turn(file, byte=-1, bit=0):
    """Turn one bit of a file that was written."""
    content = bytearray(file.read_bytes())
    content[byte] ^= 1 << bit
    file.write_bytes(content)
