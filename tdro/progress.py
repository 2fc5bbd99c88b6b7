"""A line in a job's log now and then: what is done, of how much, how fast, and the time left."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds until the first line, which tells how long all will take, and between two lines.
FIRST, EVERY = 5, 15


class Progress:
    """Counts what is done, and says so after ``FIRST`` seconds, then every ``EVERY`` at most, and when all is done.

    Example:
        ``encoded 512 of 2048 texts, 31 a second, about 50 s left``

    Args:
        verb: What is done with them: ``encoded``, ``faq: read``.
        units: What is counted: ``texts``.
        total: How many there are; None where nobody knows.
        shares: Processes that do all of them together, about as many each; every one counts its own.
        estimated: Whether ``total`` is an estimate.

    Attributes:
        total: How many this process does.
    """

    def __init__(
        self, verb: str, units: str, total: int | None = None, shares: int = 1, *, estimated: bool = False
    ) -> None:
        self._verb, self._units, self._done = verb, units, 0
        self._about, self._next = "about " if estimated else "", FIRST
        self.total = None if total is None else -(-total // shares)
        self._started = self._said = time.monotonic()

    def add(self, number: int = 1) -> None:
        """So many more are done."""
        self.reach(self._done + number, self.total)

    def reach(self, done: int, total: int | None) -> None:
        """So many are done by now, of so many; none, and the clock starts anew."""
        ends = total is not None and self._done < total <= done and not self._about
        self._done, self.total, now = done, total, time.monotonic()
        if not done:
            self._started, self._said, self._next = now, now, FIRST
        elif ends or now - self._said >= self._next:
            self._said, self._next = now, EVERY
            log.info(self._line(now - self._started))

    def through(self, items: Iterable[T]) -> Iterator[T]:
        """The same items, each of them done when the next is asked for."""
        for item in items:
            yield item
            self.add()

    def _line(self, seconds: float) -> str:
        rate = self._done / max(seconds, 1e-9)
        speed = f"{rate:.1f} a second" if rate < 10 else f"{rate:.0f} a second"
        if self.total is None:
            return f"{self._verb} {self._done} {self._units}, {speed}"
        total = max(self._done, self.total)  # a process that is faster than the others does more than its share
        left = (total - self._done) / rate
        return f"{self._verb} {self._done} of {self._about}{total} {self._units}, {speed}, about {left:.0f} s left"


@contextmanager
def watching(progress: Progress, measure: Callable[[], int], total: int) -> Iterator[None]:
    """Tell the progress of what a library does inside: ``measure`` says how much of ``total`` is done."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(1):
            if done := measure():
                progress.reach(min(done, total), total)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
