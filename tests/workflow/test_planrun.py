"""The project of docs/tutorial.md up to its training rows: what the page quotes, and ``tdro plan-run`` on changes."""

import re
import shutil
import subprocess
import sys

import pytest
import yaml
from running import ROOT, environment, snakemake

from tdro.config.models import Encoding, Model
from tdro.models.bases import load_retriever

pytestmark = pytest.mark.workflow

MADE = ("results/.passed/prepared", "results/.passed/deduplicated")
EXAMPLE = ROOT / "examples/python"
PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")


def blocks(language):
    """Fenced blocks of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def made(tiny_base, tmp_path_factory):
    """Its two tasks up to their training rows, with a tiny miner, and a copy of its data that may be changed."""
    folder = tmp_path_factory.mktemp("planned")
    shutil.copytree(EXAMPLE, folder / "examples/python")
    encoding = Encoding(query_length=32, passage_length=32)
    load_retriever(Model(name="tiny", base=str(tiny_base)), encoding).save_pretrained(str(folder / "miner"))
    configure(folder, tiny_base)
    snakemake(folder, *MADE, "results/minilm/seed42/weights/uniform.json")
    return folder


def configure(folder, base, **select):
    config = yaml.safe_load((EXAMPLE / "config.yaml").read_text())
    config["models"] = [{"name": "minilm", "base": str(base), "prompts": "none"}]
    config["mining"] |= {"encode": {"model": "miner"}, "select": config["mining"]["select"] | select}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def tdro(folder, *arguments):
    line = [sys.executable, "-m", "tdro", *arguments]
    variables = environment(folder) | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(line, cwd=folder, env=variables, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def planned(folder, *arguments):
    """The cells of each row of the table, and all that is printed."""
    options = ("--snakefile", str(ROOT / "Snakefile"), "--cores", "2", "--configfile", "config.yaml")
    printed = tdro(folder, "plan-run", *arguments, *options)
    return cells(printed)[1:], printed


def cells(printed):
    """The first three cells of each row of a table."""
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in printed.splitlines() if line.startswith("|")]
    return [row for row in rows if not set(row[0]) <= {"-"}]


def test_the_tutorial_shows_the_files_of_its_project():
    registry, config = (yaml.safe_load((EXAMPLE / f"{name}.yaml").read_text()) for name in ("registry", "config"))
    assert [yaml.safe_load(block) for block in blocks("yaml")] == [registry, config]
    lines = {line for name in ("functions", "modules") for line in (EXAMPLE / f"{name}.jsonl").read_text().splitlines()}
    assert len(quoted := [line for block in blocks("json") for line in block.splitlines()]) == 2
    assert set(quoted) <= lines


def test_the_tutorial_quotes_what_its_commands_print(made):
    counted, shown, table = blocks("text")
    logs = "".join(log.read_text() for log in (made / "logs/prepare_task").glob("*.log"))
    assert all(line in logs for line in counted.splitlines())
    command = ("show", "results/minilm/seed42/weights/uniform.json", "--drawn", "320")
    assert " ".join(command).replace("results/", "tdro show python/results/", 1).removeprefix("show ") in PAGE
    assert tdro(made, *command) == shown
    change = ("--config", "mining={select: {samples: 8}}", "--until", "dedup")
    assert planned(made, *change)[0] == cells(table)[1:]


def test_a_table_says_what_would_run_and_why(made, tiny_base):
    rows, printed = planned(made, *MADE)
    assert not rows and "Nothing to be done" in printed

    configure(made, tiny_base, samples=8)
    changed = ["select", "2", "settings changed: mining.select.samples 16 -> 8"]
    learnt = ["dedup", "2", "its input is made anew by: select"]
    data = made / "examples/python/functions.jsonl"
    data.write_text(data.read_text() + data.read_text().splitlines()[0] + "\n")
    waiting = "may run: decided when all data are prepared"
    rows, printed = planned(made, *MADE)
    assert rows[0] == ["prepare_task", "1", "input changed: examples/python/functions.jsonl"]
    assert rows[-1] == ["total", "8", "of them 3 may be left out"]
    assert sorted(rows[1:-1]) == sorted([["encode", "1", waiting], ["search", "2", waiting], changed, learnt])
    assert not (made / "results/minilm/seed42/uniform").exists()

    rows, _ = planned(made, *MADE, "--forcerun", "encode")
    assert ["encode", "1", "asked for"] in rows
    assert ["train", "2", "new"] in planned(made)[0]
