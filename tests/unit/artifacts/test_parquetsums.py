from itertools import chain

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from ours import write_sealed

from tdro.artifacts.files import read_batches, read_counts, read_rows, read_table, read_texts, table_writer, verified
from tdro.artifacts.parquetsums import CheckedParquet
from tdro.artifacts.schemas import CORPUS, PLAN
from tdro.errors import UserError

ROWS = {"passage_id": ["a", "b", "c"], "title": ["", "t", ""], "text": ["one", "two", "drei ü"]}
COUNTS = {"rows read": 3}
NAME = b"PAR1"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "corpus.parquet"
    with table_writer(path, CORPUS, COUNTS) as writer:
        for row in range(3):
            writer.append({name: cells[row : row + 1] for name, cells in ROWS.items()})
            writer.flush()
    return path


#: Everything that is told of a file.
READS = {
    "read_table": lambda path: (read_table(path, CORPUS).to_pydict(), read_counts(path)),
    "read_batches": lambda path: [table.to_pydict() for table in read_batches(path, CORPUS, 2)],
    "read_rows": lambda path: read_rows(path, CORPUS, [0, 1, 2]),
    "read_texts": lambda path: [list(read_texts(path, name)) for name in CORPUS.names],
    "verified": lambda path: pl.read_parquet(verified(path)).to_dict(as_series=False),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_every_bit_counts_wherever_it_is(file, tmp_path, read):
    """In pages, their headers, the checksums and the footer; of the name of the format at the head nobody reads."""
    whole, right, other = file.read_bytes(), read(file), tmp_path / "other.parquet"
    for bit in chain(range(0, 8 * len(whole), 7), range(8 * (len(whole) - 40), 8 * len(whole))):
        turned = bytearray(whole)
        turned[bit // 8] ^= 1 << bit % 8
        other.write_bytes(turned)
        if bit // 8 < len(NAME):
            assert read(other) == right
        else:
            with pytest.raises(UserError, match=r"other\.parquet is (damaged|not a readable Parquet file)"):
                read(other)


def test_a_file_that_was_cut_off_is_refused_wherever(file, tmp_path):
    whole, other = file.read_bytes(), tmp_path / "other.parquet"
    for length in range(len(whole)):
        other.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"other\.parquet is not a readable Parquet file"):
            read_table(other, CORPUS)


def test_all_other_readers_of_parquet_read_it(file):
    table = read_table(file, CORPUS)
    assert table.to_pydict() == ROWS
    assert pq.read_table(file).to_pydict() == ROWS
    assert ds.dataset(file).to_table().to_pydict() == ROWS
    assert pl.read_parquet(file).to_dict(as_series=False) == ROWS
    assert pl.scan_parquet(file).filter(pl.col("text") == "two").collect()["passage_id"].to_list() == ["b"]


@pytest.mark.parametrize("options", [{}, {"row_group_size": 2}, {"use_dictionary": False}, {"write_page_index": True}])
@pytest.mark.parametrize("rows", [0, 5])
def test_files_of_any_layout_are_verified(tmp_path, rows, options):
    columns = {name: [0] * rows for name in ("step", "slot", "query", "positive")}
    columns |= {"task": ["a"] * rows, "negatives": [[1, 2]] * rows}
    write_sealed(tmp_path / "plan.parquet", pa.table(columns, schema=PLAN), **options)
    assert read_table(tmp_path / "plan.parquet", PLAN).to_pydict() == columns


def test_only_what_is_read_is_verified(file):
    """A row of a large file need not be looked for in all of it."""
    last = pq.read_metadata(file).row_group(2).column(2)
    turned = bytearray(file.read_bytes())
    turned[last.dictionary_page_offset + last.total_compressed_size - 1] ^= 1
    file.write_bytes(turned)
    assert read_rows(file, CORPUS, [0, 1])[1]["text"] == "two"
    assert list(read_texts(file, "title")) == ROWS["title"]
    CheckedParquet(file).check(["text"], [0, 1])
    with pytest.raises(UserError, match="is damaged"):
        read_rows(file, CORPUS, [2])
