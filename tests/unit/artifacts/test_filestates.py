import os

import pytest

from tdro.artifacts import filestates
from tdro.artifacts.filestates import nameable, state


@pytest.fixture(params=["small", "large"])
def file(request, tmp_path, monkeypatch):
    """A file of either kind: told apart by content, or by size and time."""
    if request.param == "large":
        monkeypatch.setattr(filestates, "SMALL", 2)
    (tmp_path / "rows.jsonl").write_text("one\n")
    return tmp_path / "rows.jsonl"


def fresh(files):
    """The state as another process sees it."""
    filestates._state.cache_clear()
    return state(files)


def test_an_older_file_in_the_place_of_another_is_another_state(file):
    before = fresh([file])
    other = file.with_name("other")
    other.write_text("two\n")
    os.utime(other, (1, 1))
    other.rename(file)
    assert fresh([file]) != before


def test_nothing_else_changes_the_state(file):
    before = fresh([file])
    stat = file.stat()
    copy = file.with_name("copy")
    copy.write_text("one\n")
    # An archive keeps whole seconds.
    os.utime(copy, (int(stat.st_mtime), int(stat.st_mtime)))
    copy.rename(file)
    assert fresh([file]) == before == state([file])


def test_a_small_file_that_is_only_touched_keeps_its_state(tmp_path):
    (tmp_path / "a").write_text("one\n")
    before = fresh([tmp_path / "a"])
    os.utime(tmp_path / "a", (9, 9))
    assert fresh([tmp_path / "a"]) == before


def test_a_part_that_comes_or_goes_is_another_state(tmp_path):
    parts = [tmp_path / name for name in ("a", "b")]
    for part in parts:
        part.write_text("same\n")
    assert len({fresh(parts), fresh(parts[:1]), fresh(parts[1:]), fresh([])}) == 4


def test_names_of_any_bytes_have_a_state(tmp_path):
    place = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jsonl")
    with open(place, "w") as file:  # noqa: PTH123 - a name of bytes
        file.write("one\n")
    assert fresh([place])


def test_what_snakemake_cannot_name_is_no_input():
    """Its own functions decide: it writes names as UTF-8, and looks for wildcards between braces."""
    from snakemake.io import get_wildcard_names

    names = [
        os.fsdecode(name) for name in (b"caf\xe9", b"{x}", b"a b", b"'q'", b"new\nline", "\u00e4".encode(), b"100%")
    ]
    taken = nameable(names)
    assert taken == [name for name in names if name not in names[:2]]
    for name in taken:
        assert name.encode() and not get_wildcard_names(name)
