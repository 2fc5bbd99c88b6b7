"""Fuzzes every reader, each in a process of its own, which may crash or hang.

    PYTHONPATH=tests python -m fuzz --inputs 100000

An input follows from the seed, the target and its number: `--only TARGET --first NUMBER --inputs 1 --keep FOLDER` makes
one again. The status is 1 where any input was answered by something else than a sentence.
"""

import argparse
import logging
import multiprocessing
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
from fuzz.fuzzing import SECONDS, Outcome, content, fuzz, right_file
from fuzz.targets import TARGETS, Target

# Failures of a target that are told, one a line of ours.
_TOLD = 10
_COUNTED = ("inputs", "refused", "failures")


def main() -> None:
    """Fuzz the targets one after the other and print a line each."""
    options = _options()
    print(f"{'reader':<44}{'inputs':>10}{'refused':>10}{'failures':>10}{'seconds':>10}", flush=True)
    failed = inputs = 0
    for target in TARGETS.values():
        if options.only is None or target.name in options.only:
            numbers = range(options.first, options.first + max(1, round(options.inputs * target.share)))
            started, (counts, failures) = time.monotonic(), run(target, options.seed, numbers)
            took = time.monotonic() - started
            print(
                f"{target.name:<44}{counts['inputs']:>10,}{counts['refused']:>10,}{counts['failures']:>10,}{took:>10.0f}",
                flush=True,
            )
            for failure in failures.values():
                _tell(failure, target, options)
            failed, inputs = failed + counts["failures"], inputs + counts["inputs"]
    print(f"{inputs:,} inputs, {failed:,} failures (seed {options.seed})")
    sys.exit(1 if failed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="of each reader (default: 100,000)")
    parser.add_argument("--seed", type=int, default=1, help="of all inputs (default: 1)")
    parser.add_argument("--first", type=int, default=0, help="number of the first input (default: 0)")
    parser.add_argument("--only", nargs="+", choices=TARGETS, metavar="TARGET", help="readers; else all")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that fail")
    return parser.parse_args()


def run(target: Target, seed: int, numbers: range) -> tuple[Counter[str], dict[str, Outcome]]:
    """Counts of a target, and its failures by what they are; who crashes or hangs is followed by another process."""
    counts: Counter[str] = Counter()
    failures: dict[str, Outcome] = {}
    context = multiprocessing.get_context("fork")
    place = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=place) as folder:
        while len(numbers):
            at, (ours, theirs) = context.Value("q", numbers.start - 1), context.Pipe(duplex=False)
            tally = context.Array("q", len(_COUNTED))
            inputs = fuzz(target, Path(folder, "files"), seed, numbers)
            worker = context.Process(target=_work, args=(inputs, at, tally, theirs))
            worker.start()
            theirs.close()
            hung = _wait(worker, at, ours, failures)
            counts.update(dict(zip(_COUNTED, tally, strict=True)))
            if worker.exitcode == 0:
                break
            what = "hangs" if hung else f"ends the process ({worker.exitcode})"
            counts.update(inputs=1, failures=1)
            failures.setdefault(what, Outcome(at.value, False, what))
            numbers = range(at.value + 1, numbers.stop)
    return counts, failures


def _work(outcomes: Iterator[Outcome], at, tally, pipe) -> None:
    """Fuzz. What was counted, and the number of each input before it is read, stand where they outlive the process."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    sys.stderr = sys.stdout = Path("/dev/null").open("w")  # noqa: SIM115 - as long as the process lives
    at.value += 1
    for outcome in outcomes:
        at.value = outcome.number + 1
        for place, one in enumerate((True, outcome.refused, bool(outcome.failure))):
            tally[place] += one
        if outcome.failure:
            pipe.send(outcome)


def _wait(worker, at, pipe, failures: dict[str, Outcome]) -> bool:
    """Take what a worker tells until it has ended; whether it was ended because it hung."""
    process, before, since = psutil.Process(worker.pid), -1, 0.0
    while worker.is_alive() or pipe.poll():
        if pipe.poll(1):
            try:
                failure = pipe.recv()
            except EOFError:
                break
            if len(failures) < _TOLD:
                failures.setdefault(failure.failure, failure)
            continue
        try:
            busy = sum(process.cpu_times()[:2])
        except psutil.Error:
            continue
        if at.value != before:
            before, since = at.value, busy
        elif busy - since > 3 * SECONDS:
            worker.kill()
            worker.join()
            return True
    worker.join()
    return False


def _tell(failure: Outcome, target: Target, options: argparse.Namespace) -> None:
    print(f"    input {failure.number}: {failure.failure}\n{failure.trace}", file=sys.stderr, flush=True)
    if options.keep:
        with tempfile.TemporaryDirectory() as folder:
            given = content(target, right_file(target, Path(folder, "files")), options.seed, failure.number)
        options.keep.mkdir(parents=True, exist_ok=True)
        name = "".join(sign if sign.isalnum() else "_" for sign in f"{target.name} {failure.number}")
        (options.keep / name).write_bytes(given)


if __name__ == "__main__":
    main()
