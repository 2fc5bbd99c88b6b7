"""What a command says when it begins and when a signal ends it."""

import signal
from types import SimpleNamespace

import pytest

from tdro.cli.main import COMMANDS, main
from tdro.cli.said import begins
from tdro.cli.stops import Stopped

#: Commands that print what they find, at once or line by line, or start another program that tells.
TALKING = {"ask", "completion", "doctor", "forecast", "init", "plan-run", "probe", "show", "study"}


def options_of(name, **values):
    """What a command is called with."""
    command = COMMANDS[name]
    return SimpleNamespace(command=name, run=command.run, made=command.made, **values)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - TALKING))
def test_a_command_that_takes_time_says_first_what_it_does_and_writes(name, tmp_path, caplog):
    caplog.set_level("INFO", "tdro")
    output = tmp_path / "out"
    settings = "{benchmarks: {web: {web: {corpus: c, queries: q, instruction: Find it.}}}}"
    others = dict.fromkeys(("html", "json", "train"), output)
    begins(options_of(name, output=output, folders=[output], settings=settings, **others))
    (line,) = caplog.messages
    assert line.startswith(f"{name}: ") and f"; writes {output}" in line
    assert "\n" not in line


@pytest.mark.parametrize("name", sorted(TALKING))
def test_others_do_without(name, caplog):
    caplog.set_level("INFO", "tdro")
    begins(options_of(name))
    assert not caplog.messages


@pytest.mark.parametrize(
    ("checkpoint", "said"),
    [
        (True, "checkpoints keeps what was done; the same command goes on from there."),
        (False, "Nothing half-written stays; the same command makes "),
    ],
)
@pytest.mark.parametrize(("number", "by"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_signal_says_what_is_kept_and_how_to_go_on(tmp_path, monkeypatch, capsys, checkpoint, said, number, by):
    def interrupt(*arguments):
        raise Stopped(number)

    monkeypatch.setattr("tdro.mining.search.search", interrupt)
    checkpoints = tmp_path / "checkpoints"
    if checkpoint:
        checkpoints.mkdir()
        (checkpoints / "part").touch()
    files = [word for name in ("embeddings", "corpus", "queries", "output") for word in (f"--{name}", f"{name}.x")]
    with pytest.raises(SystemExit) as end:
        main(["search", *files, "--checkpoints", str(checkpoints)])
    assert end.value.code == 128 + number
    assert f"tdro search: stopped by {by}." in (told := capsys.readouterr().err) and said in told
