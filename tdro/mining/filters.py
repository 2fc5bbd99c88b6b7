"""Which of the passages that a miner ranked become a query's hard negatives. No model and no files.

The filters run over a block of queries at once; the draw is each query's own, with a random generator of
its own, so that neither the order of the queries nor the other queries change its negatives.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tdro.artifacts.lists import Lists, ranges
from tdro.config.mining import Select
from tdro.mining.ranks import ranks_of


@dataclass(frozen=True)
class Block:
    """Queries that want negatives, and their rankings.

    Attributes:
        rows: Rows in the queries, shape (q,); each seeds its query's sample.
        keys: Keys of their texts, shape (q,), see :func:`tdro.text.relations.said_keys`.
        positives: Rows of the corpus.
        positive_scores: Lowest score among each query's positives, shape (q,), for the margin.
        candidates: Rows of the corpus, by falling score.
        scores: Score of each of those candidates.
        alike: Rows of the corpus: positives of all queries that say the same, its own among them; None takes its own.
    """

    rows: np.ndarray
    keys: np.ndarray
    positives: Lists
    positive_scores: np.ndarray
    candidates: Lists
    scores: np.ndarray
    alike: Lists | None = None

    @property
    def right(self) -> Lists:
        """What answers each query: no passage that says the same may be its negative."""
        return self.positives if self.alike is None else self.alike


@dataclass(frozen=True)
class Selection:
    """What one query gets.

    Attributes:
        mined: Positions in the ranking, rising, at most ``samples``.
        filled: Rows of the corpus that fill up what ``mined`` lacks; [] unless ``too_few`` says so.
    """

    mined: np.ndarray
    filled: np.ndarray


class Passages:
    """The corpus as selection sees it: which rows say the same.

    Args:
        keys: Key of every passage's text, shape (passages,), see :func:`tdro.text.relations.said_keys`.
    """

    def __init__(self, keys: np.ndarray) -> None:
        self.keys = keys
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]

    def __len__(self) -> int:
        return len(self.keys)

    def equal(self, keys: np.ndarray) -> np.ndarray:
        """Rows whose key is one of ``keys``."""
        keys = np.unique(keys)
        first = np.searchsorted(self._sorted, keys, side="left")
        end = np.searchsorted(self._sorted, keys, side="right")
        return np.concatenate([self._order[a:b] for a, b in zip(first, end, strict=True)])


def select(block: Block, passages: Passages, settings: Select) -> tuple[list[Selection], dict[str, int]]:
    """Filter the rankings of a block of queries and sample their hard negatives.

    The filters run in this order, and a candidate counts for the first that drops it:

    1. its rank lies outside :func:`tdro.mining.ranks.ranks_of`. Ranks are positions in the raw ranking, positives
       included, as in the released code (``ranks[2:100]`` first, positives taken out after). Each positive beyond the
       first moves the end back by one, so that many positives do not use up the room;
    2. it is a positive of the query;
    3. it says the same (:mod:`tdro.text.relations`) as the query, or as a positive of it or of a query that says so;
    4. it scores above ``pos - |pos| * margin``, pos being the query's lowest-scoring positive;
    5. it scores above ``max_score``;
    6. it scores below ``min_score``.

    Of the rest ``samples`` are drawn without replacement and kept in the order of their ranks. When there
    are fewer and ``too_few`` is ``fill_random``, :func:`_fill` makes up for them.

    Returns:
        A selection a query, and how many candidates each filter dropped, in the order of the filters.
    """
    kept = np.ones(len(block.scores), dtype=bool)
    dropped = {}
    for name, hits in _filters(block, passages, settings).items():
        dropped[name] = int(np.count_nonzero(kept & hits))
        kept &= ~hits
    chosen = []
    for query, (start, end) in enumerate(pairwise(block.candidates.starts.tolist())):
        generator = np.random.default_rng([settings.seed, int(block.rows[query])])
        mined = np.flatnonzero(kept[start:end])
        if len(mined) > settings.samples:
            mined = np.sort(generator.choice(mined, settings.samples, replace=False))
        filled = np.empty(0, dtype=np.int64)
        if len(mined) < settings.samples and settings.too_few == "fill_random":
            missing = settings.samples - len(mined)
            filled = _fill(
                missing, block.candidates[query], mined, _equal_rows(block, query, passages), len(passages), generator
            )
        chosen.append(Selection(mined, filled))
    return chosen, dropped


def _filters(block: Block, passages: Passages, settings: Select) -> dict[str, np.ndarray]:
    """What each filter would drop by itself, a mask over the block's candidates."""
    candidates, positives, owners = block.candidates, block.positives, block.candidates.owners()
    ranks, (first, stop) = ranges(0, candidates.lengths), ranks_of(settings, len(passages))
    end = stop + np.maximum(positives.lengths - 1, 0)
    limits = np.full(len(block.rows), np.inf)
    if settings.margin is not None:
        limits = block.positive_scores - np.abs(block.positive_scores) * settings.margin
    own_keys = np.concatenate([passages.keys[block.right.values], block.keys])
    key_owners = np.concatenate([block.right.owners(), np.arange(len(block.keys))])
    return {
        "outside the ranks": (ranks < first) | (ranks >= end[owners]),
        "positives": _among(candidates.values, owners, positives.values, positives.owners()),
        "say the same": _among(passages.keys[candidates.values], owners, own_keys, key_owners),
        "above the margin": block.scores > limits[owners],
        "above the maximum score": block.scores > (np.inf if settings.max_score is None else settings.max_score),
        "below the minimum score": block.scores < (-np.inf if settings.min_score is None else settings.min_score),
    }


def _among(values: np.ndarray, owners: np.ndarray, others: np.ndarray, other_owners: np.ndarray) -> np.ndarray:
    """Whether each value is one of the others of the same owner."""
    known, places = np.unique(others, return_inverse=True)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    wide = np.int64(len(known))  # owners are int32
    return (known[at] == values) & np.isin(owners * wide + at, other_owners * wide + places)


def _equal_rows(block: Block, query: int, passages: Passages) -> np.ndarray:
    """Rows that say the same as the query or one of its positives (which are among them)."""
    return passages.equal(np.append(passages.keys[block.right[query]], block.keys[query]))


def _fill(
    missing: int, ranked: np.ndarray, mined: np.ndarray, equal: np.ndarray, total: int, generator: np.random.Generator
) -> np.ndarray:
    """Up to ``missing`` further rows, never one that says the same.

    They are drawn among the passages that the ranking does not hold: a candidate that a filter has
    just dropped as too near a positive must not come back by chance. Only a corpus without enough
    others gives those back, the lowest ranked first.
    """
    drawn = _draw(missing, total, np.union1d(ranked, equal), generator)
    returned = np.delete(ranked, mined)[::-1]
    returned = returned[~np.isin(returned, equal)][: missing - len(drawn)]
    return np.concatenate([drawn, returned])


def _draw(count: int, total: int, excluded: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Up to ``count`` distinct numbers below ``total`` that are not in ``excluded`` (sorted, distinct)."""
    free = total - len(excluded)
    places = generator.choice(free, min(count, free), replace=False)
    # The p-th free number is p plus the excluded ones before it; excluded[i] has i excluded before it.
    return places + np.searchsorted(excluded - np.arange(len(excluded)), places, side="right")
