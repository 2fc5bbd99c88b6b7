"""The lower end of a terminal: how far the run is, and what the jobs under way said last."""

import rich.live
from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tdro.pipeline.screen.course import Course
from tdro.pipeline.screen.timeleft import spoken

# Jobs shown; on a cluster a hundred may be queued.
_MOST = 6


class Live:
    """Draws the course of a run below the last line until it is stopped, and takes itself away then.

    Args:
        console: The terminal.
        course: What is drawn.
    """

    def __init__(self, console: Console, course: Course) -> None:
        self._course = course
        self._live = rich.live.Live(
            console=console, get_renderable=self._draw, refresh_per_second=2, transient=True, redirect_stdout=True
        )

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def refresh(self) -> None:
        """Draw what is known now."""
        self._live.refresh()

    def stop(self) -> None:
        """Take away what is drawn."""
        self._live.stop()

    def _draw(self) -> Group:
        jobs = sorted(self._course.running.values(), key=lambda job: job.started)
        rows = Table.grid(padding=(0, 2))
        rows.add_column(no_wrap=True, overflow="ellipsis")
        rows.add_column(no_wrap=True, justify="right")
        rows.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for job in jobs[:_MOST]:
            rows.add_row(Text(job.says), spoken(job.elapsed), Text(job.last_line(), "dim"))
        if len(jobs) > _MOST:
            rows.add_row(f"and {len(jobs) - _MOST} more")
        bar = Table.grid(padding=(0, 2))
        bar.add_row(ProgressBar(self._course.total or 1, self._course.done, width=30), self._course.where())
        return Group(rows, bar)
