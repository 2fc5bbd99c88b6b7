"""Processes that make batches ahead of a training's steps, and end when it ends, however it ends.

Workers are forked, so that they share what the training has read. Beside a GPU they pay: the host's one thread has to
launch kernels. On a CPU they would take the cores that compute (docs/performance.md has the figures).
"""

import os
import signal
import threading
from collections.abc import Mapping

#: Workers of a training process, by the type of its device.
WORKERS: Mapping[str, int] = {"cpu": 0, "cuda": 2}


def begin(number: int) -> None:
    """What a worker does before its first batch.

    Ctrl-C and a cluster's signals reach all processes of a job. The training decides what follows: it may save, and
    needs batches until it has. So a worker hears SIGTERM from its training alone, and that ends it at once. Of a
    training that was killed torch tells a worker within seconds.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # a thread a worker; the library warns of forks otherwise
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(ignored, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_hear, args=(os.getppid(),), daemon=True).start()


def _hear(training: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != training:
        pass
    os._exit(0)
