"""What a training that was killed goes on from: whose checkpoints lie there, which are whole, one more on a signal."""

import logging
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import TrainerCallback

from tdro.artifacts.beside import begun, take_away, to_disk
from tdro.artifacts.files import digest, read_note, stamps, write_json
from tdro.artifacts.sums import CHECKSUMS, damage, write_sums
from tdro.artifacts.versions import of_stage
from tdro.config.sections import Section
from tdro.errors import UserError
from tdro.models.processes import agreed, most, processes

log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
_STOPPING = b"finishes this step and writes a checkpoint; press Ctrl-C again to end at once\n"
_IDENTITY = "run.json"


def keep_if_same(checkpoints: Path, job: Section, files: Iterable[Path], large: Iterable[Path], *, stage: str) -> None:
    """Remove the checkpoints of a run with other settings, input files, code or libraries; keep those of this run.

    Args:
        checkpoints: Folder of checkpoints; may not exist yet.
        job: The settings.
        files: Inputs that decide the computation, told apart by their content.
        large: Further such inputs, told apart by size and time of change.
        stage: The module whose code and libraries count.

    Raises:
        UserError: when ``checkpoints`` is a folder of something else.
    """
    if processes().is_main_process:
        inputs: list = [digest(file) for file in files]
        inputs += stamps(large)
        made_by = of_stage(stage)._asdict()
        _claim(checkpoints, {"settings": job.watched(), "inputs": inputs, **made_by})
    processes().wait_for_everyone()


def _claim(checkpoints: Path, identity: dict) -> None:
    known = checkpoints / _IDENTITY
    if known.is_file():
        before = read_note(known)
        if before == identity:
            return
        other = ", ".join(key for key, value in identity.items() if before.get(key) != value)
        log.info("%s belongs to a run with other %s; starting afresh", checkpoints, other)
        take_away(checkpoints)
    elif checkpoints.exists() and set(checkpoints.iterdir()) - set(begun(known)):
        raise UserError(f"{checkpoints} holds something else than checkpoints; name a folder that is empty or new.")
    write_json(known, identity)


def newest_checkpoint(checkpoints: Path) -> Path | None:
    """The checkpoint with most steps whose files are all there and are what was written; all processes call this.

    One that is damaged counts no more, so that the one before it is gone on from.
    """
    return agreed(_newest(checkpoints) if processes().is_main_process else None)


def _newest(checkpoints: Path) -> Path | None:
    complete = [file.parent for file in checkpoints.glob(f"checkpoint-*/{CHECKSUMS}")]
    for checkpoint in sorted(complete, key=lambda folder: int(folder.name.rpartition("-")[2]), reverse=True):
        if (problem := damage(checkpoint)) is None:
            return checkpoint
        log.warning("%s; it is taken away, and the training goes on from the checkpoint before", problem)
        take_away(checkpoint)
    return None


@contextmanager
def saving() -> Iterator[list[TrainerCallback]]:
    """What marks checkpoints as whole, and writes one more on a signal, after which the training stops.

    Ctrl-C, SIGHUP of a terminal that is closed, SIGTERM and SIGUSR1 are alike, and each may come again. Only a second
    Ctrl-C ends the training at once. Signals are heard while this lasts.
    """
    in_time = _SaveInTime()
    before = {number: handler for number in _SIGNALS if (handler := signal.getsignal(number)) != signal.SIG_IGN}

    def ask(number: int, frame) -> None:
        in_time.asked = True
        if number == signal.SIGINT:
            signal.signal(number, before[signal.SIGINT])
            os.write(2, _STOPPING)  # whatever the log is doing just now

    try:
        for number in before:
            signal.signal(number, ask)
        yield [_MarkComplete(), in_time]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _MarkComplete(TrainerCallback):
    """Marks a checkpoint once all files of all processes are there; a resume passes over unmarked ones."""

    def on_save(self, args, state, control, **kwargs) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        to_disk(folder)  # what this process has written, at least
        processes().wait_for_everyone()
        if state.is_world_process_zero:
            write_sums(folder)


class _SaveInTime(TrainerCallback):
    """A checkpoint every two minutes, however long a step takes; where one was asked for, no further step.

    Attributes:
        asked: Whether a signal has come.
    """

    _SECONDS = 120

    def __init__(self) -> None:
        self.asked, self._saved = False, 0.0

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self._saved = time.monotonic()

    def on_step_end(self, args, state, control, **kwargs) -> None:
        # One process may see the signal, or the time, a step before the others: all must do so after the same step.
        asked, due = most([self.asked, time.monotonic() - self._saved >= self._SECONDS])
        if asked:
            control.should_save = control.should_training_stop = True
        elif due:
            control.should_save = True

    def on_save(self, args, state, control, **kwargs) -> None:
        self._saved = time.monotonic()
