"""The leak check: time and memory of indexing evaluation texts and of streaming training texts past them.

Compares with sets of strings in Python, the evaluation texts looked up by an inverted index of all their groups.
Texts are made up of a Zipf-like vocabulary: queries of 5 to 15 words, passages of 60 to 120; a twentieth of the
training passages contain an evaluation query, another twentieth the half of a relevant passage or all of it.

    python benchmarks/leaks.py --training 100000 --evaluation 20000
"""

import argparse
import random
import resource
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from multiprocessing import get_context


def main() -> None:
    """Run both ways and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", type=int, default=100_000, help="training queries, each with a positive")
    parser.add_argument("--evaluation", type=int, default=20_000, help="evaluation queries, each with a passage")
    parser.add_argument("--ours", action="store_true", help="leave the comparison out")
    options = parser.parse_args()
    ways = {"ours": run_ours} if options.ours else {"ours": run_ours, "sets of strings": run_sets}
    found = {}
    for name, way in ways.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found[name], stages, memory = pool.submit(way, options.training, options.evaluation).result()
        split = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stages.items())
        print(f"{name}: {split}, peak memory +{memory:.0f} MB, {len(found[name])} pairs")
    if not options.ours:
        ours, sets = found.values()
        print(f"found by one way only: {len(ours - sets)} and {len(sets - ours)} (long texts are sampled)")


def run_ours(training: int, evaluation: int):
    """Pairs of a training and an evaluation text, seconds by stage, memory above that of the texts in MB."""
    from tdro.data.containment import CHUNK, Contained
    from tdro.text.strings import chunks

    train, test = texts(training, evaluation)
    before, start = peak(), time.perf_counter()
    index = Contained()
    numbers = [number for chunk in chunks(test, CHUNK) for number in index.add(chunk).tolist()]
    index.finish()
    indexed = time.perf_counter()
    pairs, first = set(), 0
    for chunk in chunks(train, CHUNK):
        places, others, _ = index.find(chunk)
        pairs.update(zip((places + first).tolist(), others.tolist(), strict=True))
        first += len(chunk)
    assert len(set(numbers)) == len(index)
    return pairs, {"index": indexed - start, "look": time.perf_counter() - indexed}, peak() - before


def run_sets(training: int, evaluation: int):
    """The same with sets of strings."""
    from tdro.data.containment import FEWEST, SHARE, letters

    def groups(text: str) -> set[str]:
        told = letters(text)
        return {told[i : i + 8] for i in range(len(told) - 7)}

    train, test = texts(training, evaluation)
    before, start = peak(), time.perf_counter()
    distinct = list(dict.fromkeys(map(letters, test)))
    holders, sizes = defaultdict(list), []
    for number, text in enumerate(distinct):
        own = groups(text)
        sizes.append(len(own))
        for group in own:
            holders[group].append(number)
    indexed = time.perf_counter()
    pairs = set()
    for place, text in enumerate(train):
        matched = Counter(number for group in groups(text) for number in holders.get(group, ()))
        pairs.update(
            (place, number)
            for number, count in matched.items()
            if sizes[number] >= FEWEST and count >= SHARE * sizes[number]
        )
    return pairs, {"index": indexed - start, "look": time.perf_counter() - indexed}, peak() - before


def texts(training: int, evaluation: int) -> tuple[list[str], list[str]]:
    """Training and evaluation texts, queries first, always the same."""
    chance = random.Random(42)
    words = ["".join(chance.choices("etaoinshrdlucmwfgypbvk", k=chance.randint(2, 10))) for _ in range(50_000)]
    zipf = list(accumulate(1 / (rank + 10) for rank in range(len(words))))

    def text(fewest: int, most: int) -> str:
        return " ".join(chance.choices(words, cum_weights=zipf, k=chance.randint(fewest, most)))

    queries, passages = ([text(*size) for _ in range(evaluation)] for size in ((5, 15), (60, 120)))
    train = [text(5, 15) for _ in range(training)]
    for _ in range(training):
        kind, passage = chance.random(), text(60, 120)
        if kind < 0.05:
            passage = f"{passage} {chance.choice(queries)} {text(5, 15)}"
        elif kind < 0.1:
            part = chance.choice(passages).split()
            passage = " ".join(part[: chance.choice((len(part) // 2, len(part)))])
        train.append(passage)
    return train, queries + passages


def peak() -> float:
    """Largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
