"""Runs a target on many inputs: what is no sentence of ours, takes too long or too much memory is a failure."""

import resource
import shutil
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

from fuzz.mutations import mutated
from fuzz.targets import Target

import tdro
from tdro.errors import UserError

#: Seconds of a processor, and further bytes of memory, that one input may take.
SECONDS, MEMORY = 10, 1 << 29
_PACKAGE = Path(tdro.__file__).parent
#: Characters of a line of a sentence.
LONGEST = 2100


class Slow(BaseException):
    """An input took too many seconds of a processor."""


class Outcome(NamedTuple):
    """What became of an input.

    Attributes:
        number: The input, which the seed and this make again.
        refused: Whether a sentence refused it.
        failure: What was there instead of a sentence, and the line of ours that it came from.
        trace: All that is known of a failure.
    """

    number: int
    refused: bool = False
    failure: str = ""
    trace: str = ""


def right_file(target: Target, folder: Path) -> bytes:
    """Make the folder, whose file is right and is read."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    target.make(folder)
    target.read(folder)
    return (folder / target.file).read_bytes()


def content(target: Target, right: bytes, seed: int, number: int) -> bytes:
    """An input, out of the right file."""
    return mutated(Random(f"{seed}/{target.name}/{number}"), right, target.shape)


def fuzz(target: Target, folder: Path, seed: int, numbers: range) -> Iterator[Outcome]:
    """What becomes of numbered inputs of a target, in a new folder."""
    right = right_file(target, folder)
    for number in numbers:
        yield one(target, folder, content(target, right, seed, number), number)


def one(target: Target, folder: Path, given: bytes, number: int = 0) -> Outcome:
    """What becomes of an input in the folder of a target."""
    file = folder / target.file
    file.unlink()  # threads of Arrow may still read the one before, which is mapped
    file.write_bytes(given)
    before = _memory()
    try:
        with limited():
            target.read(folder)
        outcome = Outcome(number)
    except UserError as error:
        outcome = Outcome(number, True, unclear(str(error)), str(error))
    except (Exception, Slow) as error:
        outcome = Outcome(number, False, _where(error), traceback.format_exc())
    if (grown := _memory() - before) > MEMORY:
        return outcome._replace(failure=f"{grown >> 20} MB more memory")
    return outcome


def _memory() -> int:
    """Bytes that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@contextmanager
def limited() -> Iterator[None]:
    """Ends what takes too long."""
    signal.signal(signal.SIGPROF, _slow)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _slow(number, frame):
    raise Slow(f"more than {SECONDS} s of a processor")


def unclear(sentence: str) -> str:
    """Why a sentence is none that a person reads; empty where it is one."""
    longest = max(map(len, sentence.splitlines()), default=0)
    return "" if 0 < longest <= LONGEST else f"a sentence of {longest} characters"


def _where(error: BaseException) -> str:
    """An exception, and the last line of ours that it passed."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    ours = [(file, line) for file, line in frames if file.startswith(f"{_PACKAGE}/")]
    at = f" at tdro{ours[-1][0].removeprefix(str(_PACKAGE))}:{ours[-1][1]}" if ours else ""
    return f"{type(error).__name__}{at}"
