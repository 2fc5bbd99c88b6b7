import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tdro
from tdro.cli.main import COMMANDS, main

RELEASED = Path(__file__).parents[3] / "resources" / "released_weights"
SELECT = ("select", "--candidates", "c", "--corpus", "a", "--queries", "b", "--output", "out")


def run(*arguments):
    main([str(a) for a in arguments])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_inputs_outputs_and_an_example(command, capsys):
    with pytest.raises(SystemExit) as end:
        run(command, "--help")
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert ("input  " in text) == (command != "fetch")
    assert "output  " in text and f"tdro {command}" in text


def test_without_a_word_it_prints_the_help_and_asked_for_the_version_that(capsys):
    for arguments in ((), ("--version",)):
        with pytest.raises(SystemExit) as end:
            run(*arguments)
        assert not end.value.code
    shown = capsys.readouterr().out
    assert "usage: tdro" in shown and "    prepare  " in shown and shown.endswith(f"\ntdro {tdro.__version__}\n")


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        (["plan-r"], ["plan-run"]),
        (["forecast", "--conf"], ["--configfile"]),
        (["show", "weights."], ["weights.json"]),
    ],
)
def test_bash_completes_commands_options_and_files(typed, completed, tmp_path, capsys):
    run("completion", "bash")
    (tmp_path / "weights.json").touch()
    asked = f'COMP_WORDS=(tdro {" ".join(typed)}); COMP_CWORD={len(typed)}; _shtab_tdro; echo "${{COMPREPLY[@]}}"'
    script = f"{capsys.readouterr().out}\n{asked}\n"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == completed, done.stderr


def test_zsh_is_told_all_commands(capsys):
    run("completion", "zsh")
    script = capsys.readouterr().out
    assert script.startswith("#compdef tdro\n") and all(f"\n    {name}:" in script for name in COMMANDS)


def test_python_m_tdro_is_the_same_and_loads_nothing_heavy():
    code = "from tdro.cli.main import COMMANDS, main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    heavy = "import sys; assert not {'torch', 'pyarrow', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code + heavy], check=True)
    result = subprocess.run([sys.executable, "-m", "tdro", "--help"], capture_output=True, text=True, check=True)
    assert all(f"    {command}" in result.stdout for command in COMMANDS)


@pytest.mark.parametrize(
    ("weights", "status", "message"),
    [(RELEASED / "curr.json", 0, ""), ("missing.json", 1, "missing.json cannot be read")],
)
def test_a_command_ends_with_its_status_whatever_tearing_down_would_do(tmp_path, weights, status, message):
    code = """
import atexit, os, sys
from tdro.cli.main import command_line
class Aborts:
    __del__ = lambda self, abort=os.abort: abort()
sys.torn_down = Aborts()
atexit.register(print, "closed")
command_line()
"""
    arguments = ("derive", weights, "--mixture", "curr", "--output", tmp_path / "c.json")
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert result.returncode == status, result.stderr
    assert "closed" in result.stdout
    assert message in result.stderr
    assert (tmp_path / "c.json").exists() == (status == 0)


def test_a_reader_who_has_seen_enough_is_no_error():
    command = (sys.executable, "-m", "tdro", "show", RELEASED / "curr.json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_derive_and_show_work_alone(tmp_path, capsys):
    run("derive", RELEASED / "curr.json", "--mixture", "top70", "--output", tmp_path / "top70.json")
    assert len(json.loads((tmp_path / "top70.json").read_text())["domain_weights"]) == 17
    run("show", RELEASED / "curr.json", tmp_path / "top70.json")
    lines = capsys.readouterr().out.splitlines()
    assert "miracl" in next(line for line in lines if "0.131" in line)


def test_threads_reach_every_library(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    run("derive", RELEASED / "curr.json", "--mixture", "curr", "--output", tmp_path / "c.json", "--threads", 3)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS")
    assert {os.environ[name] for name in names} == {"3"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("derive", "missing.json", "--mixture", "top70", "--output", "out.json"), "missing.json cannot be read"),
        (("derive", "text.txt", "--mixture", "curr", "--output", "out.json"), "holds no learnt weights"),
        (
            (*SELECT, "--settings", "{a: ["),
            "--settings is not YAML",
        ),
        (
            (*SELECT, "--settings", "{modle: x}"),
            "unknown key `modle`",
        ),
        (
            (*SELECT, "--settings", "[1]"),
            "--settings",
        ),
        (
            (*SELECT, "--settings", "@gone.yaml"),
            "gone.yaml cannot be read",
        ),
        (
            ("prepare", "x", "--output", "out", "--settings", "{task: {source: {reader: nope}}}"),
            "reader 'nope' is unknown",
        ),
        (
            ("prepare", "x", "--output", "out", "--settings", "{task: {source: {reader: jsonl, path: text.txt}}}"),
            "task x has 1 malformed row, and `data.max_bad_rows` allows 0: text.txt, line 1 is not JSON",
        ),
        (("prepare", "x", "--output", "out", "--settings", "{}"), "either `task` or `benchmark`"),
        (("derive", RELEASED / "curr.json", "--mixture", "curr", "--output", "text.txt/out.json"), "text.txt"),
        (("plan", "--weights", "w.json", "--output", "out", "--settings", "{layout: mixed}"), "key `steps` is missing"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_status_1(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(SystemExit) as end:
        run(*arguments)
    assert message in end.value.code
    assert end.value.code.startswith(f"tdro {arguments[0]}: error: ")
    assert not list(tmp_path.glob("out*"))
