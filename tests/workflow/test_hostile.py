"""The whole DAG where every name that a person chooses is a line of a shell, and where secrets lie in the environment.

The repository, the folder of the run, the data and the model lie in folders that would touch files if any command took
their names as they are; instructions, columns and texts hold the same. Nothing may be touched, and no secret may
stand in anything that was written.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from running import ROOT

from tdro.config.models import Encoding, Model
from tdro.models.bases import load_retriever

pytestmark = [pytest.mark.workflow, pytest.mark.thorough]

#: A name that a shell would obey in several ways; `touched` is what it would make.
NAME = 'it\'s; $(touch touched) `touch touched` & "q" {x} #1 > touched'
#: What stands in an environment, and must stand nowhere else.
SECRETS = {
    "HF_TOKEN": "hf_PLANTEDplantedPLANTEDplantedPLANTED",
    "HUGGING_FACE_HUB_TOKEN": "hf_OTHERplantedPLANTEDplantedPLANTED",
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDPLANTED12",
    "AWS_SECRET_ACCESS_KEY": "planted/Planted+plantedPlantedPlantedPlant",
    "WANDB_API_KEY": "plantedplantedplantedplantedplantedplant",
    "OPENAI_API_KEY": "sk-planted-planted-planted-planted",
    "PIP_INDEX_URL": "https://planteduser:plantedpassword@localhost:1/simple",
    "HTTPS_PROXY": "http://plantedproxy:plantedproxypassword@localhost:1",
}
#: What of them may not be found: the passwords of addresses, else all of it.
SOUGHT = [value.partition("://")[2].partition("@")[0] or value for value in SECRETS.values()]


def rows(name: str, **negatives) -> str:
    """Rows of a task, whose texts hold the name, too."""
    made = [{"query": f"what is {n} of {name} {NAME}", "positive": f"it is {n} of {name}, {NAME}"} for n in range(16)]
    return "".join(f"{json.dumps(row | negatives)}\n" for row in made)


@pytest.fixture(scope="module")
def run(tiny_base, tmp_path_factory):
    """A folder with a repository and a run of all of it; its output."""
    folder = tmp_path_factory.mktemp("hostile") / NAME
    # Snakemake takes braces in the path of a repository for wildcards; data may have them.
    repository, project = folder.parent / NAME.replace("{x}", "x"), folder / NAME
    for place in (repository, project):
        place.mkdir(parents=True)
    for part in ("Snakefile", "workflow", "tdro", "config", "envs", "profiles"):
        copied = ROOT / part
        shutil.copytree(copied, repository / part) if copied.is_dir() else shutil.copy(copied, repository / part)
    shutil.copytree(tiny_base, folder / f"base {NAME}")
    (project / f"{NAME}.jsonl").write_text(rows("mined"))
    columns = {"query": "query", "positive": "positive", "negatives": NAME.replace("{x}", "x")}
    (project / f"other {NAME}.jsonl").write_text(rows("given", **{columns["negatives"]: ["quite another", "one more"]}))
    entry = {"language": "en", "category": NAME, "instruction": f"Find {NAME}", "held_out": 2}
    table = {"reader": "table", "path": f"other {NAME}.jsonl", "columns": columns}
    tasks = {
        "mined": entry | {"source": {"reader": "jsonl", "path": f"{NAME}.jsonl"}},
        "given": entry | {"source": table, "negatives": "provided"},
    }
    encoding = {"query_length": 200, "passage_length": 120, "precision": "fp32"}
    miner = load_retriever(Model(name="tiny", base=str(tiny_base)), Encoding(**encoding))
    miner.save_pretrained(str(folder / f"miner {NAME}"))
    (project / f"registry {NAME}.yaml").write_text(yaml.safe_dump({"tasks": tasks}))
    steps = {"batch_size": 4, "warmup_steps": 0, "learning_rate": 0.001, "temperature": 0.05}
    config = {
        "registry": f"registry {NAME}.yaml",
        "benchmarks": ["in_domain"],
        "models": [{"name": "tiny", "base": str(folder / f"base {NAME}")}],
        "proxy": "tiny",
        "seeds": [1],
        "mixtures": ["uniform", "curr"],
        "encoding": encoding,
        "mining": {"encode": {"model": str(folder / f"miner {NAME}")}, "select": {"ranks": [0, 10], "samples": 2}},
        "training": steps | {"steps": 2, "negatives": 1},
        "tdro": steps | {"steps": 2, "negatives": 1, "accumulation": 1},
        "report": {"bootstrap_samples": 200},
    }
    (project / f"{NAME}.yaml").write_text(yaml.safe_dump(config))
    command = ["--snakefile", str(repository / "Snakefile"), "--configfile", f"{NAME}.yaml", "--cores", "2"]
    given = os.environ | SECRETS | {"HF_HUB_OFFLINE": "1", "TDRO_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *command], cwd=project, env=given, capture_output=True, text=True
    )
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    return folder, done


def test_the_run_goes_through(run):
    folder, done = run
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / NAME / "results/report/index.html").is_file()


def test_no_command_took_a_name_for_more_than_a_name(run):
    assert not [path for path in run[0].parent.rglob("touched*") if path.name == "touched"]


def test_no_secret_stands_in_what_was_written(run):
    """In results, logs, Snakemake's own notes, caches, the page, the cards and what was printed."""
    files = [path for path in run[0].rglob("*") if path.is_file()]
    assert len(files) > 100
    found = []
    for path in files:
        content = path.read_bytes()
        found += [f"{path.relative_to(run[0])}: {secret}" for secret in SOUGHT if secret.encode() in content]
    assert not found


def test_what_a_person_wrote_stands_on_the_page_as_text(run):
    page = (run[0] / NAME / "results/report/index.html").read_text()
    assert "it&#39;s; $(touch touched)" in page


def test_a_task_of_such_a_name_is_refused_by_a_sentence(run):
    """A name of a task is one of folders, rules and columns: letters, digits and few signs."""
    registry = Path(run[0], NAME, "named.yaml")
    source = {"reader": "jsonl", "path": f"{NAME}.jsonl"}
    entry = {"language": "en", "category": "a", "instruction": "b", "source": source}
    registry.write_text(yaml.safe_dump({"tasks": {NAME: entry, "other": entry}}))
    config = yaml.safe_load((run[0] / NAME / f"{NAME}.yaml").read_text()) | {"registry": "named.yaml"}
    (run[0] / NAME / "named config.yaml").write_text(yaml.safe_dump(config))
    line = [sys.executable, "-m", "tdro", "forecast", "--configfile", "named config.yaml"]
    given = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=run[0] / NAME, env=given, capture_output=True, text=True)
    assert done.returncode == 1 and "must be letters, digits, `_`, `-` and `.`" in done.stderr
    assert "Traceback" not in done.stderr
