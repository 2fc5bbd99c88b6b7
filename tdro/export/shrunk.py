"""What embeddings of 8 bits and of 1 bit a number are worth: nDCG@10 beside that of whole ones, on held-out data.

Embeddings are made once, in float32, and shrunk by sentence-transformers' ``quantize_embeddings``:

- ``int8``: each number of a passage is one of 256 steps between the least and the largest that the passages of the test
  set have at its place; queries stay whole;
- ``binary``: of each number the sign alone, of queries as well; the nearest differ in the fewest signs;
- ``binary_rescored``: the best 40 of those, ranked anew by the whole query and the signs of the passage.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tdro.config.prompts import TaskPrompts
from tdro.config.registry import DOCUMENT, QUERY, Prompted
from tdro.report.plain import plain, plain_table

_DEPTH = 10
_RESCORED = 40
#: Queries whose distances are held at a time.
_BLOCK = 256
#: Bytes that one number of a passage takes.
SIZES = {"float32": 4, "int8": 1, "binary": 1 / 8, "binary_rescored": 1 / 8}


class HeldOut(NamedTuple):
    """A test set.

    Attributes:
        name: Its name; that of a task of the training gives its prompts.
        folder: With ``corpus.parquet`` and ``queries.parquet``, such as ``results/data/TASK/heldout``.
    """

    name: str
    folder: Path


def score_shrunk(folder: Path, held_out: Sequence[HeldOut]) -> dict[str, dict[str, float]]:
    """Mean nDCG@10 by test set and kind of embedding (:data:`SIZES`), and ``dimension`` and ``passages`` of each.

    Args:
        folder: The retriever's.
        held_out: The test sets; all of a corpus is held in memory.

    Raises:
        UserError: when a file is missing or wrong.
    """
    from tdro.evaluation.topics import read_queries
    from tdro.retrieval.encoder import Encoder

    topics = {one: read_queries(one.folder / "queries.parquet", one.folder / "corpus.parquet") for one in held_out}
    model, read_as = _opened(folder)
    scores = {}
    for one, asked in topics.items():
        encoder = Encoder(model, *read_as(one.name))
        passages = _passages(encoder, one.folder / "corpus.parquet")
        rankings = rank_shrunk(encoder.queries(asked.texts), passages)
        scores[one.name] = {kind: _ndcg(rows, asked, one.folder) for kind, rows in rankings.items()}
        scores[one.name] |= {"dimension": passages.shape[1], "passages": len(passages)}
    return scores


def rank_shrunk(queries: np.ndarray, passages: np.ndarray) -> dict[str, np.ndarray]:
    """The best passages of each query by each kind of embedding.

    Args:
        queries: Unit vectors, float32 of shape (queries, dimension).
        passages: Those of the passages, shape (passages, dimension).

    Returns:
        Rows of passages, best first, shape (queries, depth) with one more than is scored; -1 fills up.
    """
    from sentence_transformers.util import quantize_embeddings

    ranges = np.stack([passages.min(axis=0), passages.max(axis=0)])
    steps = quantize_embeddings(passages, "int8", ranges=ranges).astype(np.float32) + 128.5
    rebuilt = ranges[0] + steps * ((ranges[1] - ranges[0]) / 255)
    signs = np.where(passages > 0, 1, -1).astype(np.float32)
    packed = [quantize_embeddings(each, "ubinary") for each in (queries, passages)]
    depth = _DEPTH + 1
    by_signs = _best(len(queries), _RESCORED, lambda part: -_differing(packed[0][part], packed[1]))
    return {
        "float32": _best(len(queries), depth, lambda part: queries[part] @ passages.T),
        "int8": _best(len(queries), depth, lambda part: queries[part] @ rebuilt.T),
        "binary": by_signs[:, :depth],
        "binary_rescored": _rescored(queries, signs, by_signs)[:, :depth],
    }


def shrunk_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """The scores as a table for the terminal."""
    shown = plain_table()
    shown.add_column("nDCG@10")
    for kind in SIZES:
        shown.add_column(kind.replace("_", ", "), justify="right")
    for name, found in scores.items():
        shown.add_row(name, *(f"{found[kind]:.4f}" for kind in SIZES))
    sizes = [SIZES[kind] * next(iter(scores.values()))["dimension"] for kind in SIZES]
    shown.add_row("bytes a passage", *(f"{size:.0f}" for size in sizes))
    return plain(shown)


def _opened(folder: Path) -> tuple[object, Callable[[str], tuple[str, str]]]:
    """The retriever without prompts of its own, and what stands before queries and passages of a test set."""
    from tdro.artifacts.foreign import read_foreign
    from tdro.models.load import SETTINGS, load_trained, trained_prompts

    model = load_trained(folder)
    named = dict(model.prompts)
    prompts: TaskPrompts = trained_prompts(folder, model)
    tasks = read_foreign(folder / SETTINGS).get("tasks", {})

    def read_as(name: str) -> tuple[str, str]:
        if name not in tasks:
            return named.get(QUERY) or "", named.get(DOCUMENT) or prompts.passage or ""
        task = Prompted(**tasks[name])
        first = task.instruction[0]
        return prompts.of_query(name, first), prompts.of_passage(name, first, symmetric=task.symmetric)

    return model, read_as


def _passages(encoder, corpus: Path) -> np.ndarray:
    from tdro.data.corpora import blocks
    from tdro.text.strings import passage_texts

    return np.concatenate([encoder.passages(passage_texts(table)) for _, table in blocks(corpus)])


def _ndcg(rows: np.ndarray, asked, folder: Path) -> float:
    """As ``tdro evaluate`` scores a ranking: a passage that is the query itself counts neither way."""
    from tdro.data.corpora import own_passages
    from tdro.evaluation.evaluate import without_themselves
    from tdro.evaluation.metrics import relevance_scores

    own = own_passages(folder / "corpus.parquet", asked.ids, asked.texts)
    own = {place: row for place, row in own.items() if row not in asked.positives[place]}
    kept, _ = without_themselves(rows, np.zeros(rows.shape), own)
    return float(np.mean(relevance_scores(kept, asked.positives, asked.grades)["ndcg_at_10"]))


def _best(number: int, depth: int, score: Callable[[slice], np.ndarray]) -> np.ndarray:
    """Rows of the highest scores, equal ones in the order of the rows; shape (number, depth)."""
    found = []
    for start in range(0, number, _BLOCK):
        order = np.argsort(-score(slice(start, start + _BLOCK)), axis=1, kind="stable")[:, :depth]
        found.append(np.pad(order, ((0, 0), (0, depth - order.shape[1])), constant_values=-1))
    return np.concatenate(found)


def _differing(queries: np.ndarray, passages: np.ndarray) -> np.ndarray:
    """Signs in which each query differs from each passage, shape (queries, passages)."""
    return np.stack([np.bitwise_count(passages ^ query).sum(axis=1, dtype=np.int32) for query in queries])


def _rescored(queries: np.ndarray, signs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    scores = np.einsum("qd,qrd->qr", queries, signs[rows])
    scores[rows < 0] = -np.inf
    return np.take_along_axis(rows, np.argsort(-scores, axis=1, kind="stable"), axis=1)
