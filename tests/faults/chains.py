"""A folder in which a run is killed and started again, until it has been killed in all the places that were named."""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from groups import Group
from leftovers import half_written, standing
from records import ended, under_way
from running import ROOT, environment, snakemake
from stages import remove
from tinyrun import SEED

from tdro.pipeline.killed import is_locked, orphans

#: Of a project: what it is made of. All else is made by runs.
_MADE = shutil.ignore_patterns("results", "logs", "checkpoints", "cache", ".snakemake")


class Kill(NamedTuple):
    """A kill: its number, and the rule of the job that it comes in."""

    number: int
    rule: str

    def __str__(self):
        return f"kill-{self.number:03}-{self.rule}"


class Moment:
    """When a kill comes after its job has begun: after a time, or when something has changed where the job writes.

    Args:
        kill: Says it, with the seed.
        job: As it was undisturbed; it has just begun.
        folder: Where it runs.
    """

    def __init__(self, kill, job, folder):
        chance = random.Random(f"{SEED} {kill.number}")
        self.kill, self.job, self._folder = kill, job, folder
        self._by_time, self._seconds = chance.random() < 0.5, chance.random() * job.seconds
        self._changes = 1 + chance.randrange(len(job.outputs))
        self._end, self._names, self._changed = time.monotonic() + self._seconds, self._look(), 0

    def __str__(self):
        if self._by_time:
            return f"{self._seconds:.2f} s after a job of {self.job.rule} has begun, or when it writes"
        return f"in a job of {self.job.rule}, at change {self._changes} of the names where it writes"

    def has_come(self):
        """Whether it is time; to be asked again and again."""
        if self._by_time:  # the job may be faster than it was undisturbed
            made = any((self._folder / output).exists() for output in self.job.outputs)
            return made or time.monotonic() >= self._end
        before, self._names = self._names, self._look()
        self._changed += before != self._names
        return self._changed >= self._changes

    def _look(self):
        """What stands beside the job's outputs and in the folders of checkpoints."""
        beside = {(self._folder / output).parent for output in self.job.outputs}
        checkpoints = (place for place, _, _ in os.walk(self._folder / "checkpoints"))
        return {(str(place), name) for place in (*beside, *checkpoints) for name in _listed(place)}


def _listed(place):
    with contextlib.suppress(FileNotFoundError):
        return [path.name for path in Path(place).iterdir()]
    return []


class Chain:
    """The folder, and what came of each kill.

    Args:
        whole: The folder of the undisturbed run.
        folder: Where this one is made.
        targets: What is asked of Snakemake.
        has_ended: Whether it has what the undisturbed run has made, so that only what a kill needs is made again.

    Attributes:
        done: What each kill did, by the kill.
        came: What was seen behind it, or the error.
        hit: Rules of jobs that were killed before they had ended.
    """

    def __init__(self, whole, folder, targets=(), *, has_ended=False):
        self.folder, self._targets = shutil.copytree(whole, folder, ignore=None if has_ended else _MADE), targets
        self.expected, self.jobs = standing(whole), ended(whole)
        self.done, self.came, self.hit = {}, {}, set()
        self._had_ended, self._asked = ended(self.folder), set()

    def run(self, kills):
        """Start the run and kill it, until all kills have come; each comes in a job of its rule."""
        left = list(kills)
        while left:
            kill, in_time = self._killed(left)
            left.remove(kill)
            try:
                self.came[kill] = f"{'' if in_time else 'the job had just ended; '}{self.look()}"
            except AssertionError as error:
                self.came[kill] = error
            self._unlock()

    def _killed(self, left):
        """Start the run and kill it in the job whose moment comes first; which kill it was, and whether in time."""
        self._take_away({kill.rule for kill in left})
        since, run, moments = time.time(), Group(self.folder, *self._targets), {}

        def come():
            """The first moment that has come, of the jobs that are under way."""
            marked = under_way(self.folder, since)
            for job in (job for job in self.jobs.values() if marked & set(job.outputs)):
                kill = next((kill for kill in left if kill.rule == job.rule), None)
                if kill and job not in moments:
                    moments[job] = Moment(kill, job, self.folder)
            return next((m for m in moments.values() if set(m.job.outputs) & marked and m.has_come()), None)

        try:
            while not (moment := come()):
                if not run.runs:  # every job that was to be hit had ended before its moment came
                    assert run.end() == 0, run.said
                    self.look()
                    return self._killed(left)
                time.sleep(0.001)
        finally:
            if run.runs:
                run.kill()
        self.done[moment.kill] = f"SIGKILL of all processes of a run, {moment}"
        in_time = bool(set(moment.job.outputs) & under_way(self.folder, since))
        self.hit |= {moment.job.rule} if in_time else set()
        return moment.kill, in_time

    def _take_away(self, rules):
        """The outputs of a job and of all behind it, where no job is left that the other kills could come in.

        So it is where it ended beside another that was killed, before its own moment came.
        """
        if any(job.rule in rules and name not in self._had_ended for name, job in self.jobs.items()):
            return
        self._asked |= min((behind(job, self.jobs) for job in self.jobs.values() if job.rule in rules), key=len)
        for name in self._asked:
            remove(self.jobs[name], self.folder)

    def look(self):
        """Nothing may have been done again, nothing stand there in part; what has been looked at."""
        now = ended(self.folder)
        again = {name for name, job in self._had_ended.items() if name not in now or now[name].begin != job.begin}
        not_asked, kept = again - self._asked, len(self._had_ended) - len(again)
        self._asked -= {name for name in now if name not in self._had_ended or name in again}
        self._had_ended = now
        assert not_asked == set(), "done again"
        assert orphans(self.folder) == []
        found = standing(self.folder)
        assert [name for name in found if self.expected.get(name, found[name]) != found[name]] == [], "not whole"
        return f"{kept} jobs that had ended before were not done again; {len(found)} files stand, whole"

    def came_of(self, kill):
        """What was seen behind a kill; raises what was wrong."""
        if isinstance(self.came[kill], AssertionError):
            raise self.came[kill]
        return self.came[kill]

    def end(self):
        """The same command once more, to its end; what has been looked at.

        A kill between the end of a job and the removal of what only that job read leaves it for good, until asked.
        """
        snakemake(self.folder, *self._targets)
        looked = self.look()
        snakemake(self.folder, *self._targets, "--delete-temp-output")
        assert standing(self.folder) == self.expected
        assert half_written(self.folder) == []
        hit = f"{len(self.hit)} rules were hit before their job had ended"
        return f"{hit}; {looked}; all files are those of the undisturbed run, byte for byte"

    def _unlock(self):
        """As `make demo` does; the next run would say what to type."""
        assert is_locked(self.folder)
        line = [sys.executable, str(ROOT / "workflow/scripts/unlock.py"), str(self.folder)]
        subprocess.run(line, check=True, env=environment(self.folder) | {"PYTHONPATH": str(ROOT)}, capture_output=True)


def chain_of(request, whole, targets=(), *, has_ended=False):
    """A run that has been killed as often as there are cases to be looked at.

    Args:
        request: Of a fixture, whose module has cases with a parameter `kill`.
        whole: The folder of the undisturbed run.
        targets: What is asked of Snakemake.
        has_ended: As of a chain.
    """
    folder = request.getfixturevalue("tmp_path_factory").mktemp("kills") / "project"
    made = Chain(whole, folder, targets, has_ended=has_ended)
    items = [item for item in request.session.items if item.module is request.module and hasattr(item, "callspec")]
    made.run([item.callspec.params["kill"] for item in items if "kill" in item.callspec.params])
    return made


def behind(job, jobs):
    """Names of a job, and of those that read what it makes, directly or not."""
    names, made = set(), set(job.outputs)
    while found := {name for name, one in jobs.items() if made & {*one.inputs, *one.outputs}} - names:
        names |= found
        made |= {output for name in found for output in jobs[name].outputs}
    return names
