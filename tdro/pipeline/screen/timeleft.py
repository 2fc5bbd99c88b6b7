"""How long the rest of a run may take, from what its jobs took so far.

A job's time is expected to be the mean of its rule's finished jobs. Before the first of them has ended, it is what
running ones say themselves, what jobs of an earlier run took (Snakemake's benchmark files), or a guess: the forecast's
seconds, or the demo's where there is none, times how much slower or faster than that the jobs of this run have been.
"""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import NamedTuple

#: Seconds of a job in the demo, by rule, and of any other rule.
DEMO = {
    "fetch": 3, "prepare_task": 3, "prepare_benchmark": 2, "encode": 60, "search": 1, "select": 1, "dedup": 1,
    "leaks": 2, "uniform_weights": 1, "plan": 1, "plan_tdro": 1, "train": 60, "reference": 15, "optimize": 55,
    "derive": 1, "evaluate": 70, "evaluate_untrained": 45, "evaluate_bm25": 5, "report": 4, "default": 0, "all": 0,
}  # fmt: skip
_OTHER = 5


class Running(NamedTuple):
    """A job under way: its rule, seconds since its start, and those it says are left."""

    rule: str
    elapsed: float
    left: float | None = None


class Durations:
    """Seconds that the jobs of each rule take.

    Args:
        logs: Folder of logs with Snakemake's benchmark files, ``RULE/*.tsv``.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._earlier: dict[str, float | None] = {}
        self._foretold: dict[str, float] | None = None
        self._seen: dict[str, list[float]] = defaultdict(list)

    def add(self, rule: str, seconds: float) -> None:
        """A job of this run has ended."""
        self._seen[rule].append(seconds)

    def expected(self, rule: str, running: Iterable[Running] = ()) -> float:
        """What a job of the rule will take."""
        if self._seen[rule]:
            return mean(self._seen[rule])
        said = [job.elapsed + job.left for job in running if job.rule == rule and job.left is not None]
        if said:
            return mean(said)
        if (earlier := self._of_an_earlier_run(rule)) is not None:
            return earlier
        return self._guess(rule) * self._pace()

    def measured(self, rule: str) -> bool:
        """Whether any job of the rule has ended, in this run or in an earlier one."""
        return bool(self._seen[rule]) or self._of_an_earlier_run(rule) is not None

    def busy(self) -> float:
        """Seconds of all jobs that have ended, together."""
        return sum(map(sum, self._seen.values()))

    def _pace(self) -> float:
        guessed = sum(self._guess(rule) * len(seconds) for rule, seconds in self._seen.items())
        return self.busy() / guessed if guessed else 1.0

    def _guess(self, rule: str) -> float:
        if self._foretold is None:
            self._foretold = _foretold(self._logs / "forecast.json")
        return self._foretold.get(rule, DEMO.get(rule, _OTHER))

    def _of_an_earlier_run(self, rule: str) -> float | None:
        if rule not in self._earlier:
            seconds = [float(row["s"]) for file in (self._logs / rule).glob("*.tsv") for row in _rows(file)]
            self._earlier[rule] = mean(seconds) if seconds else None
        return self._earlier[rule]


def estimate(waiting: Counter[str], running: list[Running], durations: Durations, elapsed: float) -> float:
    """Seconds until the last job ends.

    Args:
        waiting: Jobs of each rule that have not begun.
        running: Those under way.
        durations: What jobs take.
        elapsed: Seconds since the first job began, from which follows how many ran side by side.
    """
    rest = [_rest(job, durations.expected(job.rule, running)) for job in running]
    work = sum(rest) + sum(count * durations.expected(rule, running) for rule, count in waiting.items())
    busy = durations.busy() + sum(job.elapsed for job in running)
    side_by_side = max(1.0, busy / elapsed) if elapsed > 0 else max(1, len(running))
    return max([work / side_by_side, *rest])


def _rest(job: Running, expected: float) -> float:
    """What is left of a job: as it says, else what is expected; one that takes longer takes a quarter more."""
    return job.left if job.left is not None else max(expected - job.elapsed, job.elapsed / 4)


def _foretold(file: Path) -> dict[str, float]:
    """Seconds of a job by rule, as the forecast has them that was made when this run began."""
    jobs: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    try:
        for line in json.loads(file.read_text(encoding="utf-8"))["lines"]:
            if line["seconds"] is not None:
                jobs[line["rule"]] += line["jobs"]
                seconds[line["rule"]] += line["seconds"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {rule: seconds[rule] / number for rule, number in jobs.items() if number}


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8") as lines:
            return [row for row in csv.DictReader(lines, delimiter="\t") if _is_number(row.get("s"))]
    except OSError:
        return []


def _is_number(text: str | None) -> bool:
    return bool(text) and text.replace(".", "", 1).isdigit()


def spoken(seconds: float) -> str:
    """A time as one says it.

    >>> spoken(40), spoken(100), spoken(3 * 3600 + 700)
    ('40 s', '2 min', '3 h 12 min')
    """
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
