"""Near-duplicates of evaluation queries among training queries: time, memory and the rows found.

Compares with the package `simhash` used as the released script does: an index of the evaluation queries
(k = 2, f = 64), one look-up a training query. Queries are made up: 5 to 20 words of a Zipf-like vocabulary, a
fifth of them Chinese, a twentieth of the training queries near copies of evaluation queries.

    python benchmarks/dedup.py --training 200000 --evaluation 50000
"""

import argparse
import os
import random
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from multiprocessing import get_context

DISTANCE = 2


def main() -> None:
    """Run both ways and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", type=int, default=200_000)
    parser.add_argument("--evaluation", type=int, default=50_000)
    parser.add_argument("--chinese", type=float, default=0.2, help="share of Chinese queries")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    sizes = (options.training, options.evaluation, options.chinese)
    rows_ours, ours, memory_ours = alone(run_ours, *sizes, options.threads)
    rows_package, package, memory_package = alone(run_package, *sizes)
    for name, stages, memory in (("ours", ours, memory_ours), ("package", package, memory_package)):
        split = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in stages.items())
        print(f"{name}: {sum(stages.values()):.2f} s ({split}), peak memory +{memory:.0f} MB")
    print(f"ratio {sum(package.values()) / sum(ours.values()):.1f} with {options.threads} threads")
    print(f"removed {len(rows_ours)} of {options.training}; identical rows: {rows_ours == rows_package}")


def alone(function, *arguments):
    """The result of ``function`` in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def run_ours(training: int, evaluation: int, chinese: float, threads: int):
    """Rows removed, seconds by stage, memory above that of the queries in MB (the largest child process included)."""
    from tdro.data.nearduplicates import closest
    from tdro.text.fingerprints import fingerprints

    train, test = queries(training, evaluation, chinese)
    before, start = peak(), time.perf_counter()
    right = fingerprints(test, threads)
    tested = time.perf_counter()
    left = fingerprints(train, threads)
    hashed = time.perf_counter()
    rows = closest(left, right, DISTANCE)["left"].to_list()
    stages = {"evaluation hashes": tested - start, "training hashes": hashed - tested}
    stages["join"] = time.perf_counter() - hashed
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return rows, stages, peak() - before + threads * children


def run_package(training: int, evaluation: int, chinese: float):
    """The same with the package."""
    from simhash import Simhash, SimhashIndex

    from tdro.text.fingerprints import normalise

    train, test = queries(training, evaluation, chinese)
    before, start = peak(), time.perf_counter()
    index = SimhashIndex([(str(i), Simhash(normalise(text), f=64)) for i, text in enumerate(test)], f=64, k=DISTANCE)
    indexed = time.perf_counter()
    hashes = [Simhash(normalise(text), f=64) for text in train]
    hashed = time.perf_counter()
    rows = [i for i, value in enumerate(hashes) if index.get_near_dups(value)]
    stages = {"evaluation hashes and index": indexed - start, "training hashes": hashed - indexed}
    stages["look-ups"] = time.perf_counter() - hashed
    return rows, stages, peak() - before


def queries(training: int, evaluation: int, chinese: float) -> tuple[list[str], list[str]]:
    """Training and evaluation queries, always the same."""
    chance = random.Random(42)
    letters, weights = "etaoinshrdlucmwfgypbvk", range(22, 0, -1)
    words = ["".join(chance.choices(letters, weights, k=chance.randint(2, 10))) for _ in range(50_000)]
    signs = [chr(chance.randint(0x4E00, 0x9FA5)) for _ in range(4000)]
    zipf = list(accumulate(1 / (rank + 10) for rank in range(len(words))))

    def query() -> str:
        if chance.random() < chinese:
            return "".join(chance.choices(signs, cum_weights=zipf[: len(signs)], k=chance.randint(6, 25)))
        return " ".join(chance.choices(words, cum_weights=zipf, k=chance.randint(5, 20)))

    test = [query() for _ in range(evaluation)]
    train = [near(chance.choice(test), chance) if chance.random() < 0.05 else query() for _ in range(training)]
    return train, test


def near(text: str, chance: random.Random) -> str:
    """A copy that differs in case, punctuation or a few characters."""
    changed = (text, text.upper(), f"{text}?", text.replace(" ", "_"), f"{text}s", text[:-2])
    return chance.choice(changed)


def peak() -> float:
    """Largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
