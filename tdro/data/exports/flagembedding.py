"""For FlagEmbedding: JSON lines ``query``, ``pos``, ``neg``, ``pos_scores``, ``neg_scores``, ``prompt`` and ``type``.

These are the keys of version 1.3 (``examples/finetune/embedder`` of its repository). A passage is its title, a space,
its text. ``prompt`` is the instruction, which ``--query_instruction_format`` puts before the query, and ``type`` says
``symmetric_sts`` of a task whose passages are queries, too; both are left out where no instructions are given.

A line may have fewer negatives than another: FlagEmbedding then draws some of them twice. One without any would end its
training, so such rows are left out. A null score, of a passage that filled a gap, ends a training with
``--knowledge_distillation``; without it scores are not read.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tdro.data.exports.forms import Told, write_lines
from tdro.data.exports.rows import Example
from tdro.text.strings import passage_text


def write(told: Told, examples: Iterable[Example], folder: Path, scratch: Path) -> int:
    """Write one task; returns the rows written."""
    return write_lines(folder / f"{told.name}.jsonl", _lines(told, examples))


def _lines(told: Told, examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
    for example in examples:
        if not example.negatives:
            continue
        texts = {
            key: [passage_text(passage.title, passage.text) for passage in passages]
            for key, passages in (("pos", example.positives), ("neg", example.negatives))
        }
        line: dict[str, Any] = {"query": example.query, **texts}
        if example.negative_scores is not None:
            line |= {"pos_scores": example.positive_scores, "neg_scores": example.negative_scores}
        if told.prompted is not None:
            symmetric = told.prompted.symmetric
            line |= {"prompt": told.instruction(example.row), "type": "symmetric_sts" if symmetric else "normal"}
        yield line
