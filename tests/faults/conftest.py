"""Faults: a row of a table for each case, and the undisturbed run that every broken one is compared with.

make test-faults FAULTS=disk-train                    one case; any words that pytest's -k takes
make test-faults FAULTS='kill-017 or after_kills'     one kill, and the run to its end behind it
FAULTS_SEED=8 make test-faults                        other moments and places
"""

import contextlib
import os
import re

import choosing
import pytest
from filelock import FileLock
from rich import box
from rich.console import Console
from rich.table import Table
from running import snakemake
from tinyrun import write_project

WIDTH = 150
HERE = "tests/faults/"


class Fault:
    """A row of the table: what a case does, and what came of it."""

    def __init__(self, note):
        self._note = note

    def done(self, what):
        """What is done to the product; said before it is done, so that a failed case says it, too."""
        self._note("done", what)

    def came(self, out):
        """What came out."""
        self._note("came", out)


@pytest.fixture
def fault(record_property):
    """The row of this case. One without it has its name for a row."""
    return Fault(record_property)


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A folder in which the whole workflow has run undisturbed."""

    def make(folder):
        folder.mkdir()
        write_project(folder)
        snakemake(folder)

    return once(tmp_path_factory, "undisturbed", make)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    """A folder in which what the other run does not pass has run undisturbed."""

    def make(folder):
        folder.mkdir()
        choosing.write_project(folder)
        snakemake(folder, *choosing.TARGETS)

    with pytest.MonkeyPatch.context() as patch:
        for name, value in choosing.index(place_of(tmp_path_factory) / "chosen").items():
            patch.setenv(name, value)
        yield once(tmp_path_factory, "chosen", make)


def place_of(tmp_path_factory):
    """A folder of all workers."""
    place = tmp_path_factory.getbasetemp()
    return place.parent if "PYTEST_XDIST_WORKER" in os.environ else place


def once(tmp_path_factory, name, make):
    """A folder that all workers share, made by the one that asks first."""
    folder = place_of(tmp_path_factory) / name
    made = folder.with_name(f"{name}.made")
    with FileLock(f"{folder}.lock"):
        if not made.exists():
            make(folder)
            made.touch()
    return folder


def pytest_terminal_summary(terminalreporter):
    """The table. Nothing in it may say "not handled"."""
    rows = [row for reports in terminalreporter.stats.values() for report in reports if (row := _row(report))]
    if not rows:
        return
    table = Table(box=box.ASCII2, show_lines=True)
    for heading in ("case", "what was done", "what came out"):
        table.add_column(heading, overflow="fold")
    for row in sorted(set(rows)):
        table.add_row(*row)
    console = Console(width=WIDTH, force_terminal=False, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(table)
    terminalreporter.write_line(captured.get())
    terminalreporter.write_line(f"{len(set(rows))} cases, {sum('not handled' in row[2] for row in rows)} not handled")


def _row(report):
    """A case's row of the table, or None where a report is of no case."""
    place, told = getattr(report, "nodeid", ""), isinstance(report, pytest.TestReport)
    if HERE not in place or not told or (report.when != "call" and report.outcome == "passed"):
        return None
    said = dict(report.user_properties)
    name, _, parameters = place.rpartition("::")[2].removeprefix("test_").partition("[")
    came = said.get("came", "as said")
    if report.outcome == "skipped":
        came = f"skipped: {report.longrepr[2].removeprefix('Skipped: ')}"
    elif report.outcome == "failed":
        came = f"not handled: {_reason(report)}"
    return parameters.removesuffix("]") or name, said.get("done", name.replace("_", " ")), came


def _reason(report):
    with contextlib.suppress(AttributeError):
        return re.sub(r"\s+", " ", report.longrepr.reprcrash.message)[:200]
    return str(report.longrepr)[-200:]
