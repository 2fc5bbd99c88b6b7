"""The workflow as a module of another one: five lines, with settings and paths of the other's folder."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from running import ROOT, environment

TASK = {"language": "en", "category": "toy", "instruction": "Find it.", "negatives": "provided", "held_out": 2}
CONFIG = {
    "registry": "registry.yaml",
    "benchmarks": ["in_domain"],
    "models": [{"name": "tiny", "base": "package:some-model==1.0/model"}],
    "proxy": "tiny",
    "mixtures": ["uniform"],
    "training": {"negatives": 1},
}

FIVE_LINES = f"""\
configfile: "config.yaml"
module tdro:
    snakefile: "{ROOT}/workflow/Snakefile"
    config: config
use rule * from tdro
"""
ONE_OF_SEVERAL = f"""\
configfile: "config.yaml"
onstart: open("began.txt", "w").close()
module tdro:
    snakefile: "{ROOT}/workflow/Snakefile"
    config: config["retriever"]
use rule * from tdro as tdro_*
rule all:
    default_target: True
    input: "best.csv"
rule best:
    input: "results/report/results.csv"
    output: "best.csv"
    shell: "cp {{input}} {{output}}"
"""


@pytest.fixture
def folder(tmp_path):
    """A folder elsewhere, with data, a registry and a configuration."""
    tasks = {name: TASK | {"source": {"reader": "jsonl", "path": f"{name}.jsonl"}} for name in ("faq", "code")}
    for name in tasks:
        rows = [{"query": f"what is {name} {n}?", "positive": f"it is {n}", "negatives": ["no"]} for n in range(9)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump({"tasks": tasks}))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return tmp_path


def run(folder, *arguments):
    line = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(folder), cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "localrules" not in done.stderr
    return done.stdout + done.stderr


def test_five_lines_use_the_workflow(folder):
    own = 'rule own:\n    input: "results/report/index.html"\n    output: "own.txt"\n    shell: "touch {output}"\n'
    (folder / "Snakefile").write_text(FIVE_LINES + own)
    counts = dict(re.findall(r"^(\w+) +(\d+)$", run(folder, "--dry-run", "own.txt"), re.MULTILINE))
    assert (counts["prepare_task"], counts["train"], counts["report"]) == ("2", "1", "1")


def test_it_stands_beside_other_rules_with_its_own_part_of_the_configuration(folder):
    (folder / "Snakefile").write_text(ONE_OF_SEVERAL)
    (folder / "config.yaml").write_text(yaml.safe_dump({"other": 1, "retriever": CONFIG}))
    assert "tdro_prepare_task" in run(folder, "results/data/faq/queries.parquet")
    assert (folder / "results/data/faq/queries.parquet").exists()
    assert (folder / "results/project.json").exists() and (folder / "began.txt").exists(), "both begin"
