"""For Tevatron: JSON lines ``query_id``, ``query``, ``positive_passages`` and ``negative_passages``.

A passage has ``docid``, ``title``, ``text`` and, where it was scored, ``score``, which Tevatron's distillation reads
(``src/tevatron/retriever/dataset.py`` of its repository, 2025). Before a passage without a title Tevatron puts a space.

A line may have fewer negatives than another: Tevatron then draws some of them twice. One without any would end its
training, so such rows are left out.
"""

from collections.abc import Iterable
from pathlib import Path

from tdro.data.exports.forms import Told, write_lines
from tdro.data.exports.rows import Example, passages_as_objects


def write(told: Told, examples: Iterable[Example], folder: Path, scratch: Path) -> int:
    """Write one task; returns the rows written."""
    lines = (
        {
            "query_id": example.query_id,
            "query": example.query,
            "positive_passages": passages_as_objects(example.positives, example.positive_scores),
            "negative_passages": passages_as_objects(example.negatives, example.negative_scores),
        }
        for example in examples
        if example.negatives
    )
    return write_lines(folder / f"{told.name}.jsonl", lines)
