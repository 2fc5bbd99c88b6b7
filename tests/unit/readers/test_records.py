"""Parquet whose rows or bytes are damaged; whole files are read in test_table.py and by `ask`."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import bad, table, written

from tdro.errors import UserError
from tdro.readers.base import Row


def packed(columns, **options):
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def test_reading_goes_on_after_a_malformed_row(tmp_path):
    texts = pa.array([b"fine", b"caf\xe9", b"fine too"]).view(pa.string())
    found = table(written(tmp_path / "t.parquet", packed({"q": ["a", "b", "c"], "p": texts})))
    assert [row.query for row in found if isinstance(row, Row)] == ["a", "c"]
    assert bad(found) == [("t.parquet, row 2", "is not UTF-8")]


def test_a_file_that_is_cut_off_or_broken_is_one_sentence(tmp_path):
    names = [f"{number} {number * number}" for number in range(50_000)]
    whole = packed({"q": names, "p": names}, row_group_size=10_000, use_dictionary=False)
    middle = len(whole) // 2
    row_group = whole[:middle] + bytes(5000) + whole[middle + 5000 :]
    for broken, said in (
        (row_group, ""),
        (b"PAR1" + bytes(999), "it is cut off"),
        (b"PAR1" + bytes(999) + b"PAR1", ""),
        (b"PAR1", ""),
        (whole[:-9], "it is cut off"),
        (b"", "it is empty"),
        (b"q,p\n" * 99, "it is text"),
    ):
        with pytest.raises(UserError, match=rf"t\.parquet cannot be read: {said}"):
            table(written(tmp_path / "t.parquet", broken))
