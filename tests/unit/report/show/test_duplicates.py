from pathlib import Path

import pytest
from everyartifact import as_json

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import DUPLICATES
from tdro.report.show.duplicates import differences
from tdro.report.show.output import plain
from tdro.report.show.show import show
from tdro.report.show.view import Asked


@pytest.mark.parametrize(
    ("one", "other", "alone", "added"),
    [
        ("how to stop a machine", "how to stop the machine", ["a"], ["the"]),
        ("stop it", "stop it", [], []),
        ("停止机器", "停止这机器", [], ["这"]),
        ("What?", "what", ["What?"], ["what"]),
    ],
)
def test_what_differs_is_marked_word_by_word(one, other, alone, added):
    left, right = differences(one, other)
    assert (left.plain, right.plain) == (one, other)
    for text, style, marked in ((left, "red", alone), (right, "green", added)):
        spans = [text.plain[span.start : span.end] for span in text.spans if style in str(span.style)]
        assert spans == marked


def test_without_colours_signs_mark_what_differs(layout):
    one, other = differences("stop a job", "stop the job now", signs=True)
    assert (one.plain, other.plain) == ("stop [-a-] job", "stop {+the+} job{+ now+}")
    text = plain(show([Path(layout.task("code", "duplicates.parquet"))], Asked(signs=True)))
    assert "how to stop [-a-] machine" in text and "[-these-]: in the training query alone" in text


def test_pairs_stand_side_by_side_below_their_numbers(layout):
    view = show([Path(layout.task("code", "duplicates.parquet"))], Asked())
    text = plain(view)
    assert "web: 1" in text
    (line,) = [line for line in text.splitlines() if "stop a machine" in line]
    assert " ".join(line.split()) == "0 3 how to stop a machine how to stop the machine web 2"
    assert as_json(view)["content"]["by_source"] == {"web": 1}


def test_none_removed_is_said(tmp_path):
    write_table(tmp_path / "duplicates.parquet", DUPLICATES.empty_table(), DUPLICATES)
    assert "No training query was removed" in plain(show([tmp_path / "duplicates.parquet"], Asked()))


def test_leaks_are_counted_and_shown_with_both_texts(layout):
    text = plain(show([Path(layout.leaks)], Asked()))
    assert "web: a query, 90% of it in a positive of code, row 3" in text
    assert "what leaks\nwhat leaks out" in text
