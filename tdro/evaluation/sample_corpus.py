"""A sample of a corpus, for cheap previews of its test sets: what is relevant, what looks so, and some more.

    corpus.parquet, queries.parquet, ... -> {corpus}@sample/corpus.parquet (schema SAMPLED_CORPUS)

Fewer passages compete, and no relevant one is missing: whoever embeds passages one by one scores at least as much for
each judged query as in the whole corpus. Rows stay in their order, so that equal scores fall alike.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tdro.artifacts.digests import write_digests
from tdro.artifacts.files import table_writer
from tdro.artifacts.schemas import CORPUS, SAMPLED_CORPUS, WHOLE_CORPUS
from tdro.config.schema import Sample
from tdro.data.corpora import blocks, chosen, passages
from tdro.evaluation.topics import Topics, read_queries
from tdro.retrieval.bm25 import rank
from tdro.text.strings import exact_key, key_array, passage_texts

log = logging.getLogger(__name__)


def sample_corpus(corpus: Path, queries: Sequence[Path], sample: Sample, output: Path) -> None:
    """Write the sample, and its digest beside it.

    Args:
        corpus: A whole ``corpus.parquet``.
        queries: The ``queries.parquet`` of every test set that searches it.
        sample: How many passages of each kind.
        output: File to write.

    Raises:
        UserError: when a file is missing or wrong.
    """
    asked = [read_queries(file, corpus) for file in queries]
    kinds = {
        "relevant": _relevant(asked),
        "hard": _hard(corpus, asked, sample.hard),
        "random": _random(corpus, sample.random, sample.seed),
    }
    rows = np.unique(np.concatenate([*kinds.values()]))
    counts = {WHOLE_CORPUS: passages(corpus), **{kind: len(found) for kind, found in kinds.items()}}
    with table_writer(output, SAMPLED_CORPUS, counts) as file:
        for found, table in chosen(corpus, rows, CORPUS.names):
            file.append({**{name: table[name] for name in CORPUS.names}, "whole_row": found})
    write_digests([output])
    log.info("%s: %d of %d passages", corpus.parent, len(rows), counts[WHOLE_CORPUS])


def _relevant(asked: Sequence[Topics]) -> np.ndarray:
    """Rows that are judged relevant to any query."""
    return np.array(sorted({row for topics in asked for rows in topics.positives for row in rows}), dtype=np.int64)


def _hard(corpus: Path, asked: Sequence[Topics], depth: int) -> np.ndarray:
    """Rows that BM25 finds first for any query; its answers, where it has such, count as words of a query."""
    if not depth:
        return np.empty(0, dtype=np.int64)
    found = rank(corpus, list(dict.fromkeys(text for topics in asked for text in _words(topics))), depth)[0]
    return np.unique(found[found >= 0])


def _words(topics: Topics) -> list[str]:
    if topics.answers is None:
        return topics.texts
    return [" ".join([text, *answers]) for text, answers in zip(topics.texts, topics.answers, strict=True)]


def _random(corpus: Path, number: int, seed: int) -> np.ndarray:
    """Rows whose texts have the lowest hashes, whatever the order of the corpus; equal texts come together."""
    if not number:
        return np.empty(0, dtype=np.int64)
    keys = np.concatenate(
        [key_array(exact_key(f"{seed} {text}") for text in passage_texts(table)) for _, table in blocks(corpus)]
    )
    last = np.partition(keys, min(number, len(keys)) - 1)[min(number, len(keys)) - 1]
    return np.flatnonzero(keys <= last)
