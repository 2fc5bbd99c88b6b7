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


def live(console: Console, course: Course) -> rich.live.Live:
    """Draws the course of a run below the last line of a terminal until it is stopped, and takes itself away then."""
    return rich.live.Live(
        console=console,
        get_renderable=lambda: _drawn(course),
        refresh_per_second=2,
        transient=True,
        redirect_stdout=True,
    )


def _drawn(course: Course) -> Group:
    jobs = sorted(course.running.values(), key=lambda job: job.started)
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True, overflow="ellipsis")
    rows.add_column(no_wrap=True, justify="right")
    rows.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for job in jobs[:_MOST]:
        rows.add_row(Text(job.says), spoken(job.elapsed), Text(job.last_line(), "dim"))
    if len(jobs) > _MOST:
        rows.add_row(f"and {len(jobs) - _MOST} more")
    bar = Table.grid(padding=(0, 2))
    bar.add_row(ProgressBar(course.total or 1, course.done, width=30), course.where())
    return Group(rows, bar)
