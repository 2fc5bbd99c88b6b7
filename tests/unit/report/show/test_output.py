"""Colours and a pager on a terminal, plain and whole text in a pipe, JSON for programs."""

import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from everyartifact import MIXTURE, MODEL, SEED
from rich.text import Text

from tdro.report.show.output import put
from tdro.report.show.view import View

COMMAND = "from tdro.cli.main import main; import sys; main(sys.argv[1:])"


def environment(**more) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "LESS", "PAGER", "COLUMNS")}
    return kept | {"TERM": "xterm-256color", "OMP_NUM_THREADS": "1"} | more


def on_a_terminal(*arguments, **variables) -> str:
    """What a terminal of 24 lines and 80 columns gets."""
    main, end = pty.openpty()
    subprocess.run(["stty", "rows", "24", "cols", "80"], stdin=end, check=True)
    read: list[bytes] = []

    def listen() -> None:
        try:
            while part := os.read(main, 4096):
                read.append(part)
        except OSError:  # the other end is closed
            pass

    thread = threading.Thread(target=listen)
    thread.start()
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    done = subprocess.run(command, stdin=end, stdout=end, stderr=end, env=environment(**variables), timeout=60)
    os.close(end)
    thread.join(5)
    os.close(main)
    assert done.returncode == 0
    return b"".join(read).decode()


@pytest.fixture
def pager(tmp_path):
    """A pager that says that it was called."""
    script = tmp_path / "pager"
    script.write_text('#!/bin/sh\necho "[paged $LESS]"\ncat\n')
    script.chmod(0o755)
    return script


def test_a_terminal_gets_colours_and_what_is_long_a_pager(layout, pager):
    long = on_a_terminal("show", layout.task("code", "candidates.parquet"), PAGER=str(pager))
    assert "[paged -FRX]" in long and "\x1b[1;36mcode question 0" in long
    short = on_a_terminal("show", layout.weights(MODEL, SEED, MIXTURE), PAGER=str(pager))
    assert "[paged" not in short and "\x1b[36m█" in short


def test_no_pager_and_no_colour_when_not_wanted(layout, pager):
    path = layout.task("code", "candidates.parquet")
    shown = on_a_terminal("show", path, "--no-pager", PAGER=str(pager), NO_COLOR="1")
    assert "[paged" not in shown and "\x1b[36m" not in shown and "code question 2" in shown


def test_a_pipe_gets_all_as_plain_text(layout):
    command = [sys.executable, "-c", COMMAND, "show", layout.task("code", "train.parquet")]
    done = subprocess.run(command, capture_output=True, env=environment(FORCE_COLOR="1", PYTHONIOENCODING="ascii"))
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode("ascii")
    assert "\x1b" not in text and text.count("query") == 3 and "all 3 rows" in text


def test_a_pipe_has_signs_in_the_place_of_colours(layout, capsys):
    from tdro.cli.main import main

    main(["show", layout.task("code", "duplicates.parquet")])
    assert "{+the+}" in capsys.readouterr().out


def test_letters_that_the_output_cannot_write_are_replaced(monkeypatch, tmp_path):
    with (tmp_path / "out").open("w", encoding="ascii") as out:
        monkeypatch.setattr(sys, "stdout", out)
        put(View([Text("bar ██▌ ─ naïve …")], {"text": "naïve"}), as_json=False)
        put(View([], {"text": "naïve", "n": float("nan")}), as_json=True)
    plain, _, values = (tmp_path / "out").read_text().partition("\n")
    assert plain == "bar ### - na?ve ..."
    assert json.loads(values) == {"text": "naïve", "n": None}


def test_json_is_all_that_is_printed(layout, capsys):
    from tdro.cli.main import main

    main(["show", layout.weights(MODEL, SEED, MIXTURE), "--json"])
    assert json.loads(capsys.readouterr().out)["content"]["code"]["weight"] == 0.8
    main(["rows", "code", "--results", layout.results, "--rows", "1", "--json"])
    assert json.loads(capsys.readouterr().out)["rows"][0]["name"] == "step 0, slot 0"
    main(["why", "code", "--results", layout.results, "--json"])
    assert json.loads(capsys.readouterr().out)["ended"] == pytest.approx(0.8)
    main(["why", "--results", layout.results])
    assert capsys.readouterr().out.count("tasks)") == 2


def test_nothing_is_written(layout):
    from tdro.cli.main import main

    before = {path: path.stat().st_mtime_ns for path in Path(layout.results).rglob("*")}
    main(["show", layout.run(MODEL, SEED, "tdro/trajectory.parquet")])
    assert {path: path.stat().st_mtime_ns for path in Path(layout.results).rglob("*")} == before
