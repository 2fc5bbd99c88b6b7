"""Changes a process that a test starts: it waits at a call, has little patience, sees GPUs, or is slow with a file.

Python imports this module by itself at the start of every process that has its folder on `PYTHONPATH`. What waits is
said by two variables (:func:`waits.waiting` sets them):

    TDRO_TEST_WAIT=tdro.training.losses:ContrastiveLoss.forward:3,5
    TDRO_TEST_WAIT_FOLDER=/tmp/x

The first process that loads the module waits at its third call, the next at its fifth, all further ones not at all;
`/tmp/x/waits-1` appears when the first waits.

It waits until a signal comes that ends a training, or until the test makes the file `go` in the folder.

    TDRO_TEST_PATIENCE=10                   processes of a job wait for one another for so many seconds
    TDRO_TEST_GPUS=2                        torch says that there are two, of which CUDA_VISIBLE_DEVICES names some
    TDRO_TEST_LATE=negatives.parquet:2      a file of this name takes its place so many seconds after it was written
"""

import datetime
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path


class Changed:
    """Finds a module, and changes it as soon as it is loaded."""

    def __init__(self, module, change):
        self.module, self.change = module, change

    def find_spec(self, name, path=None, target=None):
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            self.change(module)

        spec.loader.exec_module = exec_module
        return spec


class Waiter:
    """Lets a function of a module wait."""

    def __init__(self, function, calls, folder):
        self.function, self.calls, self.folder = function, [int(call) for call in calls.split(",")], Path(folder)

    def wrap(self, module):
        *owner, name = self.function.split(".")
        for part in owner:
            module = getattr(module, part)
        function, seen, number = getattr(module, name), [], self.number()

        def waiting(*arguments, **others):
            seen.append(1)
            if number <= len(self.calls) and len(seen) == self.calls[number - 1]:
                self.wait(number)
            return function(*arguments, **others)

        setattr(module, name, waiting)

    def number(self):
        """Which process this is, from 1, of those of its rank."""
        rank, number = os.environ.get("RANK", "0"), 1
        while True:
            try:
                (self.folder / f"process-{rank}-{number}").touch(exist_ok=False)
                return number
            except FileExistsError:
                number += 1

    def wait(self, number):
        told = []

        def listen(number):
            before = signal.getsignal(number)

            def handle(number, frame):
                told.append(number)
                if callable(before):
                    before(number, frame)

            signal.signal(number, handle)

        for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            listen(signal_number)
        (self.folder / f"waits-{number}").touch()
        while not told and not (self.folder / "go").exists():
            time.sleep(0.1)


def with_gpus(cuda, number):
    """Let `torch.cuda` say that there are GPUs."""

    def device_count():
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(number))))
        return len([one for one in seen.split(",") if one])

    cuda.device_count, cuda.is_available = device_count, lambda: device_count() > 0


def late(name, seconds, at_once=Path.replace):
    """Let a file of this name take its place later, when who wrote it may have ended."""

    def replace(path, target):
        if Path(target).name != name:
            return at_once(path, target)
        hidden = at_once(path, Path(target).with_name(f".late-{name}"))
        if os.fork() == 0:
            time.sleep(seconds)
            at_once(hidden, target)
            os._exit(0)
        return Path(target)

    Path.replace = replace


if "TDRO_TEST_WAIT" in os.environ:
    module, function, calls = os.environ["TDRO_TEST_WAIT"].split(":")
    sys.meta_path.insert(0, Changed(module, Waiter(function, calls, os.environ["TDRO_TEST_WAIT_FOLDER"]).wrap))
if "TDRO_TEST_PATIENCE" in os.environ:
    patience = datetime.timedelta(seconds=int(os.environ["TDRO_TEST_PATIENCE"]))
    sys.meta_path.insert(0, Changed("tdro.models.processes", lambda module: setattr(module, "PATIENCE", patience)))
if "TDRO_TEST_GPUS" in os.environ:
    number = int(os.environ["TDRO_TEST_GPUS"])
    sys.meta_path.insert(0, Changed("torch.cuda", lambda module: with_gpus(module, number)))
    sys.meta_path.insert(
        0, Changed("tdro.models.processes", lambda module: setattr(module, "_has_driver", lambda: True))
    )
if "TDRO_TEST_LATE" in os.environ:
    name, seconds = os.environ["TDRO_TEST_LATE"].split(":")
    late(name, float(seconds))
