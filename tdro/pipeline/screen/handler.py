"""The handler of Snakemake's log records that makes the screen."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from tdro.pipeline.screen.course import Course, Job
from tdro.pipeline.screen.live import live
from tdro.pipeline.screen.logends import complaint, ended_by, no_room, printed, warnings
from tdro.pipeline.screen.timeleft import spoken

#: Seconds without a line after which a screen that is no terminal tells what goes on.
SILENCE = 60
# Rules whose log is what they are run for.
_RESULTS = ("report", "tables")
_NOTHING = "Nothing to be done"
_INTERRUPTED = "Terminating processes on user request"
# Beginnings of Snakemake's lines about itself, which stay in .snakemake/log.
_ABOUT_ITSELF = (
    "Assuming unrestricted shared filesystem", "Building DAG of jobs", "Using shell:", "host:", "Provided ",
    "Rules claiming more threads", "Conda environments: ignored", "Singularity containers: ignored",
    "Group jobs: inactive", "Select jobs to execute", "Execute ", "Removing temporary output",
    "Removing output files of failed job", "DAG of jobs will be updated",
)  # fmt: skip
# A command that failed is told by the job's own event, without its 2,000 characters.
_JOBS_FAILED = "WorkflowError:\nAt least one job did not complete"
_COMMAND_FAILED = "RuleException:\nCalledProcessError in file"
_QUIET = {LogEvent.WORKFLOW_STARTED, LogEvent.SHELLCMD, LogEvent.JOB_STARTED, LogEvent.GROUP_INFO, LogEvent.RULEGRAPH}


class Screen(logging.Handler):
    """A line a job: on a terminal when it has ended, below them those that go on; elsewhere when it begins.

    Args:
        stream: Where lines go.
        settings: Snakemake's settings of its output.
        shown: Snakemake's own filter, which knows what ``--quiet`` leaves out. A failed job is always told, but with
            ``--quiet all``.
        results: Log whose content is shown when there is nothing to be done.
        logs: Folder of the jobs' logs.
    """

    def __init__(
        self,
        stream: TextIO,
        settings,
        shown: Callable[[logging.LogRecord], bool],
        results: Path | None = None,
        logs: Path = Path("logs"),
    ) -> None:
        super().__init__()
        self._quiet = set(settings.quiet or ())
        self._whole_logs, self._shown, self._results = settings.show_failed_logs, shown, results
        self.console = Console(file=stream, no_color=settings.nocolor or None, highlight=False, soft_wrap=True)
        self.course = Course(logs)
        self._live = live(self.console, self.course) if self.console.is_terminal and not self._quiet else None
        self._last, self._ended, self._interrupted = time.monotonic(), threading.Event(), False
        self._commands: dict[int | None, str] = {}  # what Snakemake said of the last command that failed, by thread
        self._events = {
            LogEvent.RUN_INFO: self._planned,
            LogEvent.JOB_INFO: self._begins,
            LogEvent.JOB_FINISHED: self._ends,
            LogEvent.JOB_ERROR: self._fails,
            LogEvent.PROGRESS: self._counts,
            LogEvent.GROUP_ERROR: self._group_fails,
        }
        if not self._live and not self._quiet:
            threading.Thread(target=self._break_silence, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Show what a record tells, if anything."""
        try:
            event = getattr(record, "event", None)
            if event in self._events:
                self._events[event](record)
            elif event not in _QUIET and self._shown(record):
                self._says(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Leave a terminal as it was."""
        self._ended.set()
        if self._live:
            self._live.stop()
        super().close()

    def tell(self) -> None:
        """A line on each job that goes on."""
        for job in list(self.course.running.values()):
            self._print(f"{_clock()} [{self.course.where()}] {job.says}, for {spoken(job.elapsed)}: {job.last_line()}")

    def _planned(self, record) -> None:
        self.course.plan(record.stats)
        if self._shown(record):
            rules = [
                f"{count} {rule}" for rule, count in record.stats.items() if rule not in ("total", "default", "all")
            ]
            self._print(f"{sum(int(rule.split()[0]) for rule in rules)} jobs: {', '.join(rules)}")
        if self._live:
            self._live.start()

    def _begins(self, record) -> None:
        if not record.shellcmd:  # `all` and its like, which only gather
            return
        wildcards = ", ".join(f"{name} {value}" for name, value in record.wildcards.items())
        says = record.rule_msg or f"{record.rule_name} {wildcards}".strip()
        job = self.course.begin(record.jobid, record.rule_name, says, Path(record.log[0]) if record.log else None)
        if not self._live and self._shown(record):
            self._print(f"{_clock()} [{self.course.where()}] {job.says}" if self._counted else job.says)

    def _ends(self, record) -> None:
        job = self.course.end(record.job_id)
        if job and self._live:
            self._print(Text.assemble((f"{_clock()} ", "dim"), job.says, (f"  {spoken(job.elapsed)}", "dim")))
        for line in warnings(job.log) if job and job.log and not self._quiet else []:
            self._print(Text(f"  warning: {line}", "yellow"))
        if job and job.rule in _RESULTS and job.log and not self._quiet:
            self._show(job.log)

    def _counts(self, record) -> None:
        self.course.count(record.done, record.total)

    def _fails(self, record) -> None:
        job = self.course.fail(record.jobid)
        if Quietness.ALL not in self._quiet and not self._interrupted:
            command = self._commands.pop(record.thread, "")
            self._tell_failure(job, record.rule_name, record.log, record.rule_msg, command)

    def _group_fails(self, record) -> None:
        if Quietness.ALL not in self._quiet:
            for info in record.job_error_info:
                self._tell_failure(self.course.fail(info["jobid"]), info["rule_name"], info["log"])

    def _tell_failure(
        self, job: Job | None, rule: str, logs: list[str], reason: str | None = None, command: str = ""
    ) -> None:
        """What has failed, why the executor says so, and what its own log says, on a cluster its shell's, too."""
        says = f"{job.says} failed after {spoken(job.elapsed)}" if job else "A job failed"
        lines = [f"{says} (rule {rule})" + (f": {reason}" if reason else ".")]
        for log in map(Path, logs):
            whole = self._whole_logs and log.is_file()
            said = log.read_text(errors="replace").splitlines() if whole else complaint(log)
            lines += [f"Its log, {log}, says{':' if said else ' nothing.'}", *said]
        lines += [why for why in (ended_by(command), *map(no_room, map(Path, logs))) if why]
        self._print(Text("\n".join(lines), "red"))

    def _says(self, record) -> None:
        """A message of Snakemake, of a plugin or of our own rules."""
        text = record.getMessage()
        if text in ("", "None") or (record.levelno < logging.WARNING and text.startswith(_ABOUT_ITSELF)):
            return
        if text.startswith(_COMMAND_FAILED):
            self._commands[record.thread] = text
            return
        if self._interrupted and text.startswith(_JOBS_FAILED):
            return
        if text.startswith(_INTERRUPTED):
            self._interrupted = True  # jobs that end now do not fail
            text = (
                f"Stopped by Ctrl-C with {self.course.where()}; jobs under way are told to end. What is done is kept: "
                "type the same command again to go on, a training from its last checkpoint."
            )
        style = "red" if record.levelno >= logging.ERROR else "yellow" if record.levelno >= logging.WARNING else ""
        self._print(Text(text, style))
        if text.startswith(_NOTHING) and self._results:
            self._show(self._results)

    def _show(self, log: Path) -> None:
        if said := printed(log):
            self._print(said)

    @property
    def _counted(self) -> bool:
        """Whether Snakemake tells how many jobs are done, which it leaves out with ``--quiet``."""
        return Quietness.PROGRESS not in self._quiet

    def _print(self, line: str | Text) -> None:
        self._last = time.monotonic()
        if self._live:
            self._live.refresh()
        self.console.print(line, markup=False, emoji=False)

    def _break_silence(self) -> None:
        while not self._ended.wait(1):
            if time.monotonic() - self._last > SILENCE:
                with self.lock:
                    self.tell()


def _clock() -> str:
    return time.strftime("%H:%M:%S")
