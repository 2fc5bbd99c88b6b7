"""Lines of progress: when there is one, and what it says."""

from threading import Event

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
    for number in (40, 60, 1100, 300, 500):
        clock[0] += 4 if number == 40 else 6 if number == 60 else 10
        told.add(number)
    assert caplog.messages == [
        "encoded 100 of 2000 texts, 10 a second, about 190 s left",
        "encoded 1500 of 2000 texts, 50 a second, about 10 s left",
        "encoded 2000 of 2000 texts, 50 a second, about 0 s left",
    ]


def test_of_an_unknown_number_there_is_no_time_left(clock, caplog):
    for number in Progress("faq: read", "rows").through(range(7)):
        clock[0] += 4
        assert number < 7
    assert caplog.messages == ["faq: read 2 rows, 0.2 a second", "faq: read 6 rows, 0.2 a second"]


def test_an_estimated_number_is_said_to_be_one_and_ends_nothing(clock, caplog):
    told = Progress("faq: read", "rows", 50, estimated=True)
    for _ in range(4):
        clock[0] += 8
        told.add(20)
    assert caplog.messages == [
        "faq: read 20 of about 50 rows, 2.5 a second, about 12 s left",
        "faq: read 60 of about 60 rows, 2.5 a second, about 0 s left",
    ]


def test_what_a_library_does_is_told_while_it_does_it(monkeypatch, caplog):
    caplog.set_level("INFO", "tdro")
    monkeypatch.setattr(progress, "FIRST", 0)
    done, told = [0], Event()
    monkeypatch.setattr(Progress, "reach", lambda self, *numbers: (done.append(numbers), told.set()))
    with progress.watching(Progress("fetched", "MB", 90), lambda: 120, 90):
        assert told.wait(5)
    assert done[-1] == (90, 90)


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
