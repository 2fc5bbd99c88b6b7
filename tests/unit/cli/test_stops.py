"""Signals that end a command, sent to one that waits with a half-written file."""

import os
import signal
import subprocess
import sys

import pytest

from tdro.cli.stops import Stopped, listening

WAITS = """
import signal, sys, time
from tdro.cli.stops import Stopped, listening
from tdro.artifacts.files import replacing
try:
    with listening(), replacing("out") as temporary:
        temporary.touch()
        print("here", flush=True)
        time.sleep(30)
except Stopped as stop:
    print(stop.by, flush=True)
    sys.exit(stop.status)
"""


def start(folder, before=""):
    line = [sys.executable, "-c", before + WAITS]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment)
    assert process.stdout.readline() == "here\n"
    return process


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGINT, "Ctrl-C"),
        (signal.SIGTERM, "SIGTERM"),
        (signal.SIGHUP, "SIGHUP, as its terminal was closed"),
    ],
)
def test_a_signal_ends_it_in_order_and_says_which_it_was(tmp_path, number, said):
    with start(tmp_path) as process:
        process.send_signal(number)
        assert process.stdout.read() == f"{said}\n"
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_what_it_was_started_to_ignore_stays_ignored(tmp_path):
    with start(tmp_path, "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n") as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "SIGTERM\n"


def test_while_it_cleans_up_further_signals_change_nothing():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as stop, listening():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            for number in (signal.SIGTERM, signal.SIGHUP):
                os.kill(os.getpid(), number)
    assert stop.value.status == 143
    assert signal.getsignal(signal.SIGTERM) == before
