"""Which queries of a task are kept out of training, for the in-domain benchmark.

The split is by passage, because many tasks answer many queries with one passage: a passage that answers a held-out
query is no passage of the training corpus. One query a held-out passage is kept, as queries that share their answer
would be no independent measurements.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from tdro.artifacts.lists import Lists

#: Of a passage that answers hundreds of queries only so many are held out, so that none rules the benchmark.
MOST_OF_A_PASSAGE = 1


@dataclass
class Split:
    """Rows of a collection, int arrays: the queries to train on, those held out, and the passages drawn for them."""

    training: np.ndarray
    held_out: np.ndarray
    passages: np.ndarray


def hold_out(
    positives: Lists, usable: np.ndarray, wanted: int, random: np.random.Generator, counts: Counter[str]
) -> Split:
    """Split queries by passage: passages are drawn until ``wanted`` queries are held out.

    A query is held out when all its passages are drawn, at most a few of each passage; it is
    trained on when none is; else it is dropped and counted.

    Args:
        positives: passages' rows of each query.
        usable: the queries to split, rising.
        wanted: number of queries to hold out.
        random: source of the drawing order.
        counts: gets the number of queries dropped, by reason.
    """
    nothing = np.empty(0, dtype=np.int64)
    if not wanted:
        return Split(usable, nothing, nothing)
    answered = positives.take(usable)
    passages, queries_of = _inverse(answered)
    drawn = np.zeros(int(passages[-1]) + 1 if len(passages) else 0, dtype=bool)
    held_out: list[int] = []
    for place in random.permutation(len(passages)):
        drawn[passages[place]] = True
        complete = [query for query in queries_of[place] if drawn[answered[query]].all()]
        most = min(MOST_OF_A_PASSAGE, wanted - len(held_out))
        held_out += sample(usable[complete], most, random).tolist()
        if len(held_out) == wanted:
            break
    known = answered.count(drawn)
    training = usable[known == 0]
    counts["surplus of a held-out passage"] = int(np.count_nonzero(known == answered.lengths)) - len(held_out)
    counts["positives on both sides of the split"] = int(np.count_nonzero((known > 0) & (known < answered.lengths)))
    return Split(training, np.array(held_out, dtype=np.int64), np.flatnonzero(drawn))


def _inverse(answered: Lists) -> tuple[np.ndarray, Lists]:
    """The distinct passages, rising, and for each of them the lists that hold it."""
    passages, places = np.unique(answered.values, return_inverse=True)
    return passages, Lists.from_pairs(places, answered.owners(), len(passages))


def sample(population: np.ndarray, most: int | None, random: np.random.Generator) -> np.ndarray:
    """At most ``most`` elements of a rising population in random order; null takes all of them."""
    return random.permutation(population)[:most]
