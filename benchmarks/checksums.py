"""What checksums cost: files with ours, with Parquet's own, with a SHA-256 beside the file, and without any.

    python benchmarks/checksums.py                        # 150,000 passages of 80 words, and 200 MB of weights
    python benchmarks/checksums.py --passages 50000 --megabytes 50

Each way writes the same corpus as the rules do, piece by piece, brings it to the disk, and reads it twice: all of it,
and one column. `none` is Parquet without checksums, `pages` Parquet's checksums of pages, which leave headers and
footer out, `sha256` a digest of the whole file in a file beside it, which is compared before anything is read. Weights
are loaded as they are, and with their checksums compared first. Files are in the system's memory when they are read.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file

from tdro.artifacts.beside import to_disk
from tdro.artifacts.files import read_table, table_writer
from tdro.artifacts.schemas import CORPUS
from tdro.artifacts.sums import damage, write_sums

WORDS, PIECE = 80, 1 << 15
TITLES = pa.schema([CORPUS.field("title")])


def main() -> None:
    """Write and read every way, print seconds and ratios to Parquet without checksums."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=150_000)
    parser.add_argument("--megabytes", type=int, default=200, help="of weights")
    parser.add_argument("--repeats", type=int, default=3, help="of which the quickest counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _tables(Path(folder), _pieces(options.passages), options.repeats)
        _weights(Path(folder) / "model", options.megabytes, options.repeats)


def _tables(folder: Path, pieces: list[pa.Table], repeats: int) -> None:
    files = {name: folder / f"{name}.parquet" for name in ("none", "pages", "sha256", "ours")}
    found = {
        name: (
            _seconds(lambda file=file, name=name: _write(file, pieces, name), repeats),
            _seconds(lambda file=file, name=name: _read(file, CORPUS, name), repeats),
            _seconds(lambda file=file, name=name: _read(file, TITLES, name), repeats),
        )
        for name, file in files.items()
    }
    assert all(_read(file, CORPUS, name) == _read(files["none"], CORPUS, "none") for name, file in files.items())
    size, bare = files["none"].stat().st_size, found["none"]
    print(f"a corpus of {sum(map(len, pieces)):,} passages, {size / 1e6:.0f} MB")
    print(f"{'checksums':10} {'write':>14} {'read all':>14} {'one column':>14} {'bytes more':>11}")
    for name, took in found.items():
        cells = "".join(f" {own:6.3f} s {own / base:4.2f}x" for own, base in zip(took, bare, strict=True))
        print(f"{name:10}{cells} {files[name].stat().st_size - size:11,}")


def _weights(folder: Path, megabytes: int, repeats: int) -> None:
    folder.mkdir()
    save_file({f"layer.{n}": torch.rand(1 << 18) for n in range(megabytes)}, folder / "model.safetensors")

    def load() -> None:
        for tensor in load_file(folder / "model.safetensors").values():
            tensor.sum()  # it is mapped, and read when it is used

    summed = _seconds(lambda: write_sums(folder), repeats)
    loaded, compared = _seconds(load, repeats), _seconds(lambda: damage(folder), repeats)
    took = f"loaded in {loaded:.3f} s, compared in {compared:.3f} s, summed in {summed:.3f} s"
    print(f"{megabytes} MB of weights: {took}")


def _pieces(passages: int) -> list[pa.Table]:
    random = np.random.default_rng(0)
    words = np.array(["".join(map(chr, random.integers(97, 123, random.integers(3, 10)))) for _ in range(20_000)])
    rows = [range(start, min(start + PIECE, passages)) for start in range(0, passages, PIECE)]
    return [
        pa.table(
            {
                "passage_id": [str(row) for row in piece],
                "title": [f"title {row}" for row in piece],
                "text": [" ".join(text) for text in words[random.integers(0, len(words), (len(piece), WORDS))]],
            },
            schema=CORPUS,
        )
        for piece in rows
    ]


def _write(file: Path, pieces: list[pa.Table], way: str) -> None:
    if way == "ours":
        with table_writer(file, CORPUS) as writer:
            for piece in pieces:
                writer.append(piece)
        return
    with pq.ParquetWriter(file, CORPUS, compression="zstd", write_page_checksum=way == "pages") as written:
        for place in range(0, len(pieces), 2):  # the row groups that ours has
            written.write_table(pa.concat_tables(pieces[place : place + 2]).combine_chunks())
    if way == "sha256":
        file.with_suffix(".sha256").write_text(_digest(file))
    to_disk(file)


def _read(file: Path, schema: pa.Schema, way: str) -> pa.Table:
    if way == "ours":
        return read_table(file, schema)
    if way == "sha256" and _digest(file) != file.with_suffix(".sha256").read_text():
        raise SystemExit(f"{file} is damaged")
    table = pq.read_table(file, columns=schema.names, memory_map=True, page_checksum_verification=way == "pages").cast(
        schema
    )
    table.validate(full=True)
    return table


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _seconds(done: Callable[[], object], repeats: int) -> float:
    """The shortest time of several."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        done()
        times.append(time.perf_counter() - begin)
    return min(times)


if __name__ == "__main__":
    main()
