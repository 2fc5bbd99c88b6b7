"""The course of a run: which jobs there are, which of them go on, how many are done."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tdro.pipeline.screen.logends import last_line, time_left
from tdro.pipeline.screen.timeleft import Durations, Running, estimate, spoken


@dataclass
class Job:
    """A job that has begun; ``says`` is what its rule's message calls it."""

    rule: str
    says: str
    log: Path | None
    started: float

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    def last_line(self) -> str:
        """What its log said last."""
        return last_line(self.log) if self.log else ""


class Course:
    """What is known of a run from Snakemake's events.

    Args:
        logs: Folder of the jobs' logs.
    """

    def __init__(self, logs: Path) -> None:
        self.done = self.total = 0
        self.running: dict[int, Job] = {}
        self._begun: dict[int, str] = {}
        self._waiting: Counter[str] = Counter()
        self._durations = Durations(logs)
        self._started: float | None = None

    def plan(self, jobs: dict[str, int]) -> None:
        """Jobs of each rule, and ``total``."""
        self._waiting = Counter(jobs)
        self.total = self._waiting.pop("total", 0)

    def begin(self, number: int, rule: str, says: str, log: Path | None) -> Job:
        """A job begins, for the first time or anew."""
        now = time.monotonic()
        self._started = self._started or now
        if number not in self._begun:
            self._begun[number] = rule
            self._waiting[rule] -= 1
        self.running[number] = Job(rule, says, log, now)
        return self.running[number]

    def end(self, number: int) -> Job | None:
        """A job has succeeded."""
        job = self.running.pop(number, None)
        if job:
            self._durations.add(job.rule, job.elapsed)
        return job

    def fail(self, number: int) -> Job | None:
        """A job has failed; another attempt may begin."""
        return self.running.pop(number, None)

    def count(self, done: int, total: int) -> None:
        """How many jobs are done, of how many."""
        self.done, self.total = done, total

    def seconds_left(self) -> float:
        """How long all that is left may take."""
        running = [Running(job.rule, job.elapsed, time_left(job.last_line())) for job in tuple(self.running.values())]
        elapsed = time.monotonic() - self._started if self._started else 0.0
        return estimate(+self._waiting, running, self._durations, elapsed)

    def where(self) -> str:
        """How far the run is."""
        left = f", about {spoken(self.seconds_left())} left" if self.done < self.total else ""
        return f"{self.done} of {self.total} done{left}"
