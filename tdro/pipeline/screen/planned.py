"""The table of ``tdro plan-run``: which jobs a run would have, why, and how long they may take."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from snakemake_interface_logger_plugins.common import LogEvent

from tdro.formats import abridged
from tdro.pipeline.screen.reasons import Why, reasons, undecided
from tdro.pipeline.screen.timeleft import Durations, spoken

# Columns of a screen that is no terminal.
_WIDTH = 120
# Files, rules or keys that a reason names.
_MOST = 3


class Plan(logging.Handler):
    """Prints the table when Snakemake knows the jobs of a dry run, and its warnings and errors as they come.

    Args:
        stream: Where lines go.
        workflow: Snakemake's.
        cores: Of this machine; None where jobs run elsewhere.
        logs: Folder of the jobs' logs, with times of earlier runs.
    """

    def __init__(self, stream: TextIO, workflow, cores: int | None, logs: Path = Path("logs")) -> None:
        super().__init__()
        self._workflow, self._cores, self._durations = workflow, cores, Durations(logs)
        console = Console(file=stream, highlight=False)
        self._console = console if console.is_terminal else Console(file=stream, highlight=False, width=_WIDTH)

    def emit(self, record: logging.LogRecord) -> None:
        """Show what a record tells, if anything."""
        try:
            if getattr(record, "event", None) == LogEvent.RUN_INFO:
                self._table()
            elif record.levelno >= logging.WARNING or record.getMessage().startswith("Nothing to be done"):
                self._console.print(Text(record.getMessage()), soft_wrap=True)
        except Exception:
            self.handleError(record)

    def _table(self) -> None:
        dag = self._workflow.dag
        # Rules that only gather have no command.
        whys = {job: why for job, why in reasons(dag).items() if job.rule.shellcmd}
        seconds = {job: self._durations.expected(job.rule.name) for job in whys}
        table = Table("rule", "jobs", "why", "about how long", box=box.ASCII2)
        for (rule, _), jobs in grouped(whys).items():
            why = said(whys[job] for job in jobs)
            table.add_row(rule, f"{len(jobs):,}", why, spoken(sum(seconds[job] for job in jobs)))
        table.columns[1].justify = table.columns[3].justify = "right"
        table.add_section()
        open_jobs = sum(map(undecided, whys.values()))
        left_out = f"of them {open_jobs:,} may be left out" if open_jobs else ""
        table.add_row("total", f"{len(whys):,}", left_out, spoken(self._whole(seconds)))
        self._console.print(table)
        self._console.print(
            _sources(all(self._durations.measured(job.rule.name) for job in whys), self._cores), soft_wrap=True
        )

    def _whole(self, seconds: dict) -> float:
        """Seconds of the run: its longest chain of jobs, or all work shared by the cores, whichever is more."""
        dag, ends = self._workflow.dag, Counter()
        for job in (job for level in dag.toposorted() for job in level):
            ends[job] = seconds.get(job, 0.0) + max((ends[by] for by in dag.dependencies[job]), default=0.0)
        work = (
            sum(seconds[job] * min(job.threads, self._cores) / self._cores for job in seconds) if self._cores else 0.0
        )
        return max([work, *ends.values()])


def grouped(whys: dict) -> dict[tuple[str, tuple[str, ...]], list]:
    """Jobs by rule and by what their reasons say, whatever these name; a rule's groups stand together."""
    groups: dict[str, dict] = {}
    for job, why in whys.items():
        groups.setdefault(job.rule.name, {}).setdefault(tuple(why), []).append(job)
    return {(rule, why): jobs for rule, of_rule in groups.items() for why, jobs in of_rule.items()}


def said(whys: Iterable[Why]) -> str:
    """The reasons of jobs that have the same ones, as a sentence each, with the first of what they name."""
    together: Why = {}
    for why in whys:
        for reason, names in why.items():
            together.setdefault(reason, set()).update(names)
    return "; ".join(f"{reason}: {abridged(names, _MOST)}" if names else reason for reason, names in together.items())


def _sources(measured: bool, cores: int | None) -> str:
    """Where the times come from."""
    source = (
        "jobs of earlier runs in this folder"
        if measured
        else "jobs of earlier runs here, else the forecast's or the demo's"
    )
    side_by_side = (
        f"its jobs on {cores} core{'s' * (cores > 1)}" if cores else "its longest chain of jobs, queues left out"
    )
    return f"Times are those of {source}; a row adds up its jobs, the total is {side_by_side}."
