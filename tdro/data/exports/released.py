"""The form of the paper's released training sets: ``{task}.jsonl.tar.gz``, which the reader ``released`` reads again.

It has no place for scores. Rows without a negative stay: a task may be read with ``negatives: mined``.
"""

import tarfile
from collections.abc import Iterable
from pathlib import Path

from tdro.artifacts.packed import packing
from tdro.data.exports.forms import Told, write_lines
from tdro.data.exports.rows import Example, passages_as_objects

# Level 6 of gzip takes twice the time of level 1 and gives texts a fifth smaller.
_LEVEL = 6


def write(told: Told, examples: Iterable[Example], folder: Path, scratch: Path) -> int:
    """Write one task; returns the rows written. Equal rows give equal bytes."""
    lines, name = scratch / "lines.jsonl", f"{told.name}.jsonl"
    number = write_lines(
        lines,
        (
            {
                "query_id": example.query_id,
                "query": example.query,
                "positive_passages": passages_as_objects(example.positives),
                "negative_passages": passages_as_objects(example.negatives),
            }
            for example in examples
        ),
    )
    member = tarfile.TarInfo(name)
    member.size, member.mode = lines.stat().st_size, 0o644
    with packing(folder / f"{name}.tar.gz", _LEVEL) as archive, lines.open("rb") as content:
        archive.addfile(member, content)
    lines.unlink()
    return number
