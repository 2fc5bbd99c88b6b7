"""Signals that end a command: Ctrl-C, SIGTERM of a person or of a cluster, SIGHUP of a terminal that is closed.

Python ends at once on the last two, and would leave half-written files beside their places.
"""

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

_NAMES = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "SIGHUP, as its terminal was closed",
}


class Stopped(KeyboardInterrupt):
    """A signal has come; what is under way is cleaned up as it passes.

    Attributes:
        by: The signal, in words.
        status: What a shell reports of a process that it ended.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.by, self.status = _NAMES[signal.Signals(number)], 128 + number


def listening() -> AbstractContextManager[None]:
    """Raise :class:`Stopped` for the first of these signals that comes.

    While the command cleans up, further ones change nothing, but for another Ctrl-C, which ends it at once. A signal
    that this process was started to ignore (``nohup``) stays ignored.
    """
    return _handling(dict.fromkeys(_NAMES, _stop))


def left_to(started: Sequence[subprocess.Popen]) -> AbstractContextManager[None]:
    """Leave these signals to other programs: a terminal sends them to all, a person SIGTERM to this one alone."""

    def leave(number: int, frame) -> None:
        for process in started if number == signal.SIGTERM else ():
            process.terminate()

    return _handling(dict.fromkeys(_NAMES, leave))


@contextmanager
def _handling(handlers: Mapping[signal.Signals, Callable]) -> Iterator[None]:
    """Handle signals, but those that are ignored; only the main thread can."""
    before = {number: signal.getsignal(number) for number in handlers}
    mine = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    if threading.current_thread() is not threading.main_thread():
        mine = []
    try:
        for number in mine:
            signal.signal(number, handlers[number])
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])


def _stop(number: int, frame) -> None:
    for other in _NAMES:
        if signal.getsignal(other) != signal.SIG_IGN:
            signal.signal(other, signal.SIG_DFL if other == signal.SIGINT else signal.SIG_IGN)
    raise Stopped(number)
