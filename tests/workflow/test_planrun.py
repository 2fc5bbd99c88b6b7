"""``tdro plan-run`` in a folder whose data are made: what would run after a change, and why."""

import json
import subprocess
import sys

import pytest
import yaml
from running import ROOT, environment, snakemake

from tdro.config.models import Encoding, Model
from tdro.models.bases import load_retriever

pytestmark = pytest.mark.workflow

MADE = ("results/.passed/prepared", "results/.passed/deduplicated")


@pytest.fixture(scope="module")
def made(tiny_base, tmp_path_factory):
    """Two tasks, of which one is mined, up to their training rows."""
    folder = tmp_path_factory.mktemp("planned")
    entry = {"language": "en", "category": "toy", "instruction": "Find it."}
    tasks = {}
    for name, negatives in (("faq", "mined"), ("code", "provided")):
        rows = [
            {"query": f"what is {name} {n}?", "positive": f"it is {n} of many", "negatives": ["no"]} for n in range(40)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        tasks[name] = entry | {"source": {"reader": "jsonl", "path": f"{name}.jsonl"}, "negatives": negatives}
    (folder / "registry.yaml").write_text(yaml.safe_dump({"tasks": tasks | {"faq": tasks["faq"] | {"held_out": 2}}}))
    encoding = Encoding(query_length=32, passage_length=32)
    load_retriever(Model(name="tiny", base=str(tiny_base)), encoding).save_pretrained(str(folder / "miner"))
    configure(folder, tiny_base)
    snakemake(folder, *MADE)
    return folder


def configure(folder, base, **select):
    config = {
        "registry": "registry.yaml",
        "benchmarks": ["in_domain"],
        "models": [{"name": "tiny", "base": str(base)}],
        "proxy": "tiny",
        "seeds": [1],
        "mixtures": ["uniform"],
        "mining": {"encode": {"model": "miner"}, "select": {"too_few": "keep_with"} | select},
        "training": {"steps": 2, "batch_size": 4, "warmup_steps": 0, "negatives": 1},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def planned(folder, *arguments):
    """The cells of each row of the table, and all that is printed."""
    line = [
        sys.executable,
        "-m",
        "tdro",
        "plan-run",
        *arguments,
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--cores",
        "2",
    ]
    run = subprocess.run(
        [*line, "--configfile", "config.yaml"], cwd=folder, env=environment(folder) | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    table = [line for line in run.stdout.splitlines() if line.startswith("|")][1:]
    return [[cell.strip() for cell in line.split("|")[1:4]] for line in table], run.stdout


def test_a_table_says_what_would_run_and_why(made, tiny_base):
    rows, printed = planned(made, *MADE)
    assert not rows and "Nothing to be done" in printed

    configure(made, tiny_base, samples=8)
    changed = ["select", "1", "settings changed: mining.select.samples 16 -> 8"]
    learnt = ["dedup", "1", "its input is made anew by: select"]
    assert planned(made, *MADE)[0] == [changed, learnt, ["total", "2", ""]]

    data = made / "faq.jsonl"
    data.write_text(data.read_text() + data.read_text().splitlines()[0] + "\n")
    waiting = "may run: decided when all data are prepared"
    rows, printed = planned(made, *MADE)
    first, last = rows[0], rows[-1]
    assert first == ["prepare_task", "1", "input changed: faq.jsonl"]
    assert last == ["total", "6", "of them 3 may be left out"]
    assert sorted(rows[1:-1]) == sorted(
        [changed, learnt, ["dedup", "1", waiting], ["encode", "1", waiting], ["search", "1", waiting]]
    )
    assert not (made / "results/tiny").exists()

    rows, _ = planned(made, *MADE, "--forcerun", "encode")
    assert ["encode", "1", "asked for"] in rows
    assert ["train", "1", "new"] in planned(made)[0]
