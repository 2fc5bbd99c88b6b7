"""Trainings that are killed or told to stop after a step."""

import os

import pytest
from transformers import TrainerCallback

from tdro.training import trainer


class Killed(Exception):
    pass


class KillAt(TrainerCallback):
    """Ends the process's training after a step, without a word."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise Killed


class SignalAt(TrainerCallback):
    """Sends a signal to the process in the step after so many."""

    def __init__(self, step, number):
        self.step, self.number = step, number

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), self.number)


def stopped(monkeypatch, callback, stage, error=Killed, match=None):
    """Run ``stage`` with one more callback, which must stop it."""
    run = trainer.run
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "run", lambda *a, callbacks=(), **k: run(*a, callbacks=(*callbacks, callback), **k))
        with pytest.raises(error, match=match):
            stage()
