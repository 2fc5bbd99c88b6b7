"""What was found of a machine: how it is, and what helps."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from tdro.report.plain import plain, plain_table

State = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """A thing that was looked at.

    Attributes:
        subject: What it is.
        state: ``fail`` where a run cannot work, ``warn`` where it can and its user should know.
        said: How it is.
        mend: What helps; empty where nothing is wrong.
    """

    subject: str
    state: State
    said: str
    mend: str = ""


def too_much(needed: float, there: float) -> State:
    """How bad it is that a forecast needs more than there is: it reckons, and may be wrong by half."""
    return "fail" if needed > 2 * there else "warn" if needed > there else "ok"


def table(findings: Iterable[Finding]) -> str:
    """A row a finding."""
    shown = plain_table()
    for heading in ("check", "", "found", "what helps"):
        shown.add_column(heading, overflow="fold")
    for finding in findings:
        shown.add_row(*(finding.subject, finding.state, finding.said, finding.mend))
    return plain(shown)


def verdict(findings: Iterable[Finding]) -> str:
    """One sentence on all of them."""
    states = [finding.state for finding in findings]
    fails, warns = states.count("fail"), states.count("warn")
    if fails:
        return f"{fails} of {len(states)} checks fail: a run would not work before they are mended."
    if warns:
        return f"Nothing stands in the way; {warns} of {len(states)} checks want your look."
    return "All is well."
