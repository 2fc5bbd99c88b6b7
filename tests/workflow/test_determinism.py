"""The same seed gives the same bytes, whatever runs at once, in which order and in which folder."""

import re
import shutil

import pytest
import yaml
from greekrows import write_datasets
from running import snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.thorough]

#: The threads of a job decide in which parts a sum is taken. Two cores would give some jobs two.
ONE_THREAD = ("--set-threads", *(f"{rule}=1" for rule in ("train", "optimize", "reference")))
STEPS = {"batch_size": 4, "negatives": 1, "warmup_steps": 1, "learning_rate": 0.01, "steps": 4}
#: It says how long jobs took.
OF_TIMES = "report/index.html"


def project(folder, base):
    """Two mined tasks and a benchmark; a study over two seeds."""
    folder.mkdir()
    write_datasets(folder, {"first": 40, "second": 30}, {"web": 12}, negatives="mined", held_out=3, dev=4)
    config = {
        "registry": "registry.yaml",
        "benchmarks": ["in_domain", "web"],
        "dev": ["dev_rows"],
        "models": [{"name": "tiny", "base": str(base)}],
        "proxy": "tiny",
        "seeds": [1, 2],
        "mixtures": ["uniform", "curr"],
        "mining": {"encode": {"model": "./base"}, "select": {"ranks": [0, 20], "samples": 2}},
        "encoding": {"query_length": 64, "passage_length": 64, "precision": "fp32"},
        "evaluation": {"untrained": ["bm25"]},
        "training": STEPS,
        "tdro": STEPS | {"accumulation": 2},
        "jobs": "one",
        "report": {"bootstrap_samples": 100},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def made(folder):
    """Every file below `results/` that a job has made, by its name."""
    found = {str(path.relative_to(folder / "results")): path for path in (folder / "results").rglob("*")}
    return {name: path.read_bytes() for name, path in found.items() if path.is_file() and "/." not in f"/{name}"}


def order(folder):
    """Ends of jobs, by rule, in the order in which they came."""
    log = max((folder / ".snakemake/log").glob("*.log"), key=lambda one: one.stat().st_mtime)
    return re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", log.read_text(), re.MULTILINE)


def test_jobs_one_by_one_in_another_order_make_what_jobs_at_once_make(tiny_base, tmp_path):
    """Negatives, plans, weights, models, scores of every query, the choice of the study and the report's figures."""
    at_once = project(tmp_path / "at once", tiny_base)
    one_by_one = shutil.copytree(at_once, tmp_path / "one by one")  # with the times of the miner's files
    snakemake(at_once, "study", *ONE_THREAD, cores=2)
    first = ("results/tiny/seed2/curr/dev.parquet", "results/untrained/bm25/eval/web.json")
    snakemake(one_by_one, "study", "--scheduler", "greedy", "--prioritize", *first, cores=1)
    orders = order(at_once), order(one_by_one)
    assert sorted(orders[0]) == sorted(orders[1]) and orders[0] != orders[1]
    one, other = made(at_once), made(one_by_one)
    assert one.keys() == other.keys()
    assert {"tiny/seed2/weights/curr.json", "report/results.csv", "dev/recommendation.json"} < one.keys()
    assert [name for name in one if name != OF_TIMES and one[name] != other[name]] == []
