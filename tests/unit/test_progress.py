"""Lines of progress: when there is one, and what it says."""

import pytest

from tdro import progress
from tdro.progress import Progress


@pytest.fixture
def clock(monkeypatch, caplog):
    """A clock that a test moves."""
    caplog.set_level("INFO", "tdro")
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_now_and_then_and_one_at_the_end(clock, caplog):
    told = Progress("encoded", "texts", 2000)
    for number in (100, 1100, 300, 500):
        clock[0] += 10
        told.add(number)
    assert caplog.messages == [
        "encoded 1200 of 2000 texts, 60 a second, about 13 s left",
        "encoded 2000 of 2000 texts, 50 a second, about 0 s left",
    ]


def test_of_an_unknown_number_there_is_no_time_left(clock, caplog):
    for number in Progress("faq: read", "rows").through(range(7)):
        clock[0] += 4
        assert number < 7
    assert caplog.messages == ["faq: read 4 rows, 0.2 a second"]


def test_each_of_several_processes_tells_of_its_share(clock, caplog):
    """One that is faster does more; nothing is left of its own then."""
    told = Progress("encoded", "texts", 101, shares=2)
    for number in (17, 34, 9):
        clock[0] += 17
        told.add(number)
    assert caplog.messages == [
        "encoded 17 of 51 texts, 1.0 a second, about 34 s left",
        "encoded 51 of 51 texts, 1.5 a second, about 0 s left",
        "encoded 60 of 60 texts, 1.2 a second, about 0 s left",
    ]


def test_the_clock_starts_when_nothing_is_done_yet(clock, caplog):
    """A model may be loaded in between."""
    told = Progress("embedded", "passages")
    clock[0] += 60
    told.reach(0, 90)
    clock[0] += 15
    told.reach(45, 90)
    assert caplog.messages == ["embedded 45 of 90 passages, 3.0 a second, about 15 s left"]
