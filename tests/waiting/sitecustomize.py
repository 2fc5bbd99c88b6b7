"""Lets a process that a test starts wait at a call, so that it lasts however fast the machine is.

Python imports this module by itself at the start of every process that has its folder on `PYTHONPATH`. What waits is
said by two variables (:func:`waits.waiting` sets them):

    TDRO_TEST_WAIT=tdro.training.losses:ContrastiveLoss.forward:3,5
    TDRO_TEST_WAIT_FOLDER=/tmp/x

The first process that loads the module waits at its third call, the next at its fifth, all further ones not at all;
`/tmp/x/waits-1` appears when the first waits.

It waits until SIGTERM or SIGUSR1 comes, or until the test makes the file `go` in the folder.
"""

import importlib.util
import os
import signal
import sys
import time
from pathlib import Path


class Waiter:
    """Finds the module, and lets one of its functions wait."""

    def __init__(self, wanted, folder):
        self.module, self.function, calls = wanted.split(":")
        self.calls, self.folder = [int(call) for call in calls.split(",")], Path(folder)

    def find_spec(self, name, path=None, target=None):
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            self.wrap(module)

        spec.loader.exec_module = exec_module
        return spec

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

        for signal_number in (signal.SIGTERM, signal.SIGUSR1):
            listen(signal_number)
        (self.folder / f"waits-{number}").touch()
        while not told and not (self.folder / "go").exists():
            time.sleep(0.1)


if "TDRO_TEST_WAIT" in os.environ:
    sys.meta_path.insert(0, Waiter(os.environ["TDRO_TEST_WAIT"], os.environ["TDRO_TEST_WAIT_FOLDER"]))
