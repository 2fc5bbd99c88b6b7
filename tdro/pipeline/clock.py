"""Results with a time that is yet to come, as after a clock was set back.

What is made of such a file is older than it, which Snakemake takes for a failure of the job, until that time has come.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

#: Seconds by which clocks of two machines may differ.
_TOLERATED = 300


def remarks(results: Path) -> list[str]:
    """A line on files of the folder ``results`` that are from the future, if there are some."""
    found = list(_later(results))
    if not found:
        return []
    ahead, first = max(found)
    files, have = ("1 file", "has") if len(found) == 1 else (f"{len(found)} files", "have")
    return [
        f"{files} of {results} {have} a time that is yet to come, such as {first} (in {ahead / 60:.0f} minutes), as "
        "after a clock was set back. Until then Snakemake fails jobs that read them. To give them the present time: "
        f"find {results} -newermt now -exec touch {{}} +"
    ]


def _later(results: Path) -> Iterator[tuple[float, Path]]:
    """How many seconds each such file is ahead."""
    end = time.time() + _TOLERATED
    for folder, _, names in os.walk(results):
        for path in (Path(folder, name) for name in names if not name.startswith(".")):
            with contextlib.suppress(FileNotFoundError):  # a job has just taken it away
                if (changed := path.lstat().st_mtime) > end:
                    yield changed - time.time(), path
