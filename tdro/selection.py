"""Which of the passages that a miner ranked become a query's hard negatives. No model and no files.

Each query is decided alone, with a random generator of its own, so that neither the order of the
queries nor the other queries change its negatives.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tdro.config import Mining
from tdro.texts import text_keys


@dataclass(frozen=True)
class Query:
    """A query that wants negatives.

    Attributes:
        row: Its row in the queries; seeds its sample.
        key: Key of its text, see :func:`tdro.texts.text_keys`.
        positives: Rows of the corpus, shape (p,).
        positive_score: Lowest score among its positives, for the margin.
    """

    row: int
    key: np.uint64
    positives: np.ndarray
    positive_score: float


@dataclass(frozen=True)
class Ranking:
    """Passages by falling score: ``rows`` of the corpus and their ``scores``, both of shape (depth,)."""

    rows: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Selection:
    """What one query gets.

    Attributes:
        mined: Positions in the ranking, rising, at most ``samples``.
        filled: Rows of the corpus that fill up what ``mined`` lacks; [] unless ``too_few`` says so.
        dropped: How many candidates each filter dropped, in the order in which the filters ran.
    """

    mined: np.ndarray
    filled: np.ndarray
    dropped: dict[str, int]


class Passages:
    """The corpus as selection sees it: which rows hold the same text."""

    def __init__(self, texts: Iterable[str]) -> None:
        keys = text_keys(texts)
        self._keys = keys
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]

    def __len__(self) -> int:
        return len(self._keys)

    def equal(self, query: Query) -> np.ndarray:
        """Rows whose text equals the query's or one of its positives' (which are among them)."""
        keys = np.unique(np.append(self._keys[query.positives], query.key))
        first = np.searchsorted(self._sorted, keys, side="left")
        end = np.searchsorted(self._sorted, keys, side="right")
        return np.concatenate([self._order[a:b] for a, b in zip(first, end, strict=True)])


def select(query: Query, ranking: Ranking, passages: Passages, mining: Mining) -> Selection:
    """Filter a query's ranking and sample its hard negatives.

    The filters run in this order, and a candidate counts for the first that drops it:

    1. its rank lies outside ``mining.ranks``. Ranks are positions in the raw ranking, positives
       included, as in the released code (``ranks[2:100]`` first, positives taken out after);
    2. it is a positive of the query;
    3. its text equals the query's or a positive's, but for case and white space;
    4. it scores above ``pos - |pos| * margin``, pos being the query's lowest-scoring positive.

    Of the rest ``mining.samples`` are drawn without replacement and kept in the order of their ranks.
    When there are fewer and ``mining.too_few`` is ``fill_random``, :func:`_fill` makes up for them.
    """
    equal = passages.equal(query)
    ranks = np.arange(len(ranking.rows))
    filters = {
        "outside the ranks": (ranks < mining.ranks[0]) | (ranks >= mining.ranks[1]),
        "positives": np.isin(ranking.rows, query.positives),
        "equal texts": np.isin(ranking.rows, equal),
        "above the margin": ranking.scores > _limit(query.positive_score, mining.margin),
    }
    kept = np.ones(len(ranks), dtype=bool)
    dropped = {}
    for name, hits in filters.items():
        dropped[name] = int(np.count_nonzero(kept & hits))
        kept &= ~hits
    generator = np.random.default_rng([mining.seed, query.row])
    mined = np.flatnonzero(kept)
    if len(mined) > mining.samples:
        mined = np.sort(generator.choice(mined, mining.samples, replace=False))
    missing = mining.samples - len(mined) if mining.too_few == "fill_random" else 0
    filled = _fill(missing, ranking.rows, mined, equal, len(passages), generator)
    return Selection(mined, filled, dropped)


def _limit(positive_score: float, margin: float | None) -> float:
    return np.inf if margin is None else positive_score - abs(positive_score) * margin


def _fill(
    missing: int, ranked: np.ndarray, mined: np.ndarray, equal: np.ndarray, total: int, generator: np.random.Generator
) -> np.ndarray:
    """Up to ``missing`` further rows, never one of equal text.

    They are drawn among the passages that the ranking does not hold: a candidate that a filter has
    just dropped as too near a positive must not come back by chance. Only a corpus without enough
    others gives those back, the lowest ranked first.
    """
    if missing == 0:
        return np.empty(0, dtype=np.int64)
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
