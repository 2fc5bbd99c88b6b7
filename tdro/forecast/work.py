"""A piece of work: all jobs of a rule with one model."""

from typing import NamedTuple

from tdro.forecast import cost


class Work(NamedTuple):
    """All jobs of a rule with one model.

    Attributes:
        rule: The rule.
        jobs: How many jobs.
        model: Base of the model that they load; None without one.
        tokens: That they read, of all jobs.
        training: Operations of learning.
        encoding: Operations of reading.
        search: Operations of comparing embeddings.
        light: Seconds of what needs no model, on two free cores.
        trains: Whether a job takes all GPUs of a training, not one.
        disk: Bytes that stay.
        memory: Bytes of a process: of its GPU where it uses one, else of the machine.
        cpu: Whether its launch configuration leaves GPUs alone, or nothing of it uses one.
        unknown: Why the figures are not known; empty where they are.
    """

    rule: str
    jobs: int
    model: str | None = None
    tokens: float = 0.0
    training: float = 0.0
    encoding: float = 0.0
    search: float = 0.0
    light: float = 0.0
    trains: bool = False
    disk: float = 0.0
    memory: float = cost.LIGHT
    cpu: bool = True
    unknown: str = ""
