"""What a run gives that is repeated in another way: which bytes are the same, how far figures move.

    python benchmarks/determinism.py                                         # ten minutes on two cores
    python benchmarks/determinism.py --torch 2.12.0 2.11.0                   # also with these CPU builds of torch
    python benchmarks/determinism.py --only threads --directory kept

`uniform` and `curr` of config/study_deep.yaml (all-MiniLM-L6), with three of its tasks, few steps and one seed. Data
are prepared and mined once; each way then trains, learns weights, plans, retrains and evaluates in a copy of them. One
process of one thread, one job at a time, is what the others are compared with. A version of torch that the environment
does not have is installed in a folder of its own before its other libraries. A GPU is tried where there is one.

The table has of `curr`, which comes last and rests on all else: the shares that tDRO has learnt, the rows that its
training draws, the model, and nDCG@10 of single queries and in the mean over benchmarks.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import torch
import yaml
from safetensors.numpy import load_file

from tdro.artifacts.layout import Layout
from tdro.mixtures.weights import read_weights

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config/study_deep.yaml"
MIXTURE, SEED = "curr", 1
TASKS = ["aws_api", "hpo_synonym", "zh_riddle"]
HEADINGS = (
    *("beside one process of one thread", "files the same", "a task's share", "rows of the plan"),
    *("a parameter", "queries that score otherwise", "mean nDCG@10"),
)
#: Rules that compute with torch and have more than one thread where there are cores.
COMPUTING = ("train", "optimize", "reference", "evaluate", "dev_scores")
ONE_THREAD = ("--set-threads", *(f"{rule}=1" for rule in COMPUTING))


@dataclass(frozen=True)
class Way:
    """A way to run the same configuration.

    Attributes:
        says: What is other than in the first.
        arguments: Of Snakemake.
        model: Keys of the model.
        variables: Of the environment.
        python: Whose Snakemake and libraries are taken.
    """

    says: str
    arguments: tuple[str, ...] = ("--cores", "1")
    model: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable


def processes(number: int) -> Way:
    """So many processes a training, which talk by gloo."""
    asked = ("--set-resources", *(f"{rule}:gpu={number}" for rule in COMPUTING[:3]))
    return Way(f"{number} processes", ("--cores", "1", *asked), {"accelerate": "ddp_cpu"})


def ways(versions: list[str], folder: Path) -> Iterator[Way]:
    """What the first is compared with."""
    yield Way("once more")
    yield Way("two jobs at once, in another order", ("--cores", "2", "--scheduler", "greedy", *ONE_THREAD))
    yield Way("2 threads", ("--cores", "2", "--set-threads", *(f"{rule}=2" for rule in COMPUTING)))
    yield processes(2)
    yield processes(4)
    for version in versions:
        yield Way(f"torch {version}", variables={"PYTHONPATH": str(installed(version, folder))})
    if torch.cuda.is_available():
        yield Way("a GPU", variables={"CUDA_VISIBLE_DEVICES": "0"})


def installed(version: str, folder: Path) -> Path:
    """A folder with a CPU build of torch, which stands before the environment's own."""
    there = folder / f"torch-{version}"
    if not there.is_dir():
        line = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(there)]
        subprocess.run([*line, f"torch=={version}"], check=True)
    return there


def run(folder: Path, way: Way, *targets: str) -> None:
    """Run Snakemake in a folder; targets come first, where no option takes them for its own."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["models"][0] |= way.model
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    line = [way.python, "-m", "snakemake", *targets, "--snakefile", str(ROOT / "Snakefile")]
    line += ["--configfile", "config.yaml", *way.arguments]
    own = os.environ.get("PYTHONPATH")
    paths = os.pathsep.join(filter(None, [way.variables.get("PYTHONPATH"), str(ROOT), own]))
    hidden = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    environment = os.environ | hidden | way.variables | {"PYTHONPATH": paths}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def repeated(data: Path, folder: Path, way: Way) -> None:
    """Run everything behind the data in a copy of their folder; a run that is there goes on."""
    if not folder.is_dir():
        shutil.copytree(data, folder)
    run(folder, way, "all", "dev")


def write_config(folder: Path, steps: int) -> None:
    """The configuration, with few steps."""
    config = yaml.safe_load(CONFIG.read_text())
    config |= {"seeds": [SEED], "mixtures": ["uniform", MIXTURE], "registry": str(ROOT / config["registry"])}
    config |= {"tasks": TASKS, "benchmarks": ["in_domain", "cwe_cve"], "dev": ["dev_rows"]}
    del config["soups"]
    for part in ("training", "tdro"):
        config[part] |= {"steps": steps, "save_steps": steps}
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def compared(first: Path, other: Path) -> str:
    """The cells of a line."""
    one, two = (Layout(folder / "results") for folder in (first, other))
    model = yaml.safe_load((first / "config.yaml").read_text())["proxy"]
    shares = [read_weights(Path(of.weights(model, SEED, MIXTURE))).weights for of in (one, two)]
    moved = max(abs(shares[0][task] - share) for task, share in shares[1].items())
    plans = [pq.read_table(of.run(model, SEED, f"{MIXTURE}/plan.parquet")).to_pandas() for of in (one, two)]
    rows = float(np.mean((plans[0] != plans[1]).any(axis=1)))
    models = [load_file(Path(of.run(model, SEED, f"{MIXTURE}/model/model.safetensors"))) for of in (one, two)]
    parameters = max(float(np.abs(models[0][name] - tensor).max()) for name, tensor in models[1].items())
    scores = [_scores(Path(of.run(model, SEED, MIXTURE))) for of in (one, two)]
    joined = scores[0].join(scores[1], on=("dataset", "query_id"), validate="1:1")
    queries = joined.filter(pl.col("ndcg_at_10") != pl.col("ndcg_at_10_right")).height
    means = [frame.group_by("dataset").agg(pl.col("ndcg_at_10").mean())["ndcg_at_10"].mean() for frame in scores]
    figures = (
        f"{moved:.1e} | {rows:.1%} | {parameters:.1e} | {queries:,} of {joined.height:,} | {means[1] - means[0]:+.4f}"
    )
    return f"{_same_bytes(first, other)} | {figures}"


def _scores(folder: Path) -> pl.DataFrame:
    files = sorted(folder.glob("eval/*.queries.parquet"))
    return pl.concat([pl.read_parquet(file, columns=["dataset", "query_id", "ndcg_at_10"]) for file in files])


def _same_bytes(first: Path, other: Path) -> str:
    """Of the files that stages and people read on, how many are the same to the byte.

    What lies below a hidden folder is Snakemake's and the workflow's own.
    """
    kinds = ("**/*.json", "**/*.parquet", "**/*.safetensors", "**/*.csv")
    found = {path.relative_to(first) for kind in kinds for path in (first / "results").glob(kind)}
    files = {path for path in found if not any(part.startswith(".") for part in path.parts)}
    same = [path for path in files if (first / path).read_bytes() == (other / path).read_bytes()]
    return "all" if len(same) == len(files) else f"{len(same)} of {len(files)}"


def main() -> None:
    """Run every way and print the table."""
    options = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.directory or Path(scratch) / "runs").resolve()
        data, first = folder / "data", folder / "first"
        if not data.is_dir():
            write_config(data, options.steps)
        run(data, Way("data"), *(f"results/data/{task}/train.parquet" for task in TASKS))
        repeated(data, first, Way("first"))
        print(f"torch {torch.__version__}, {options.steps} steps\n")
        print(f"| {' | '.join(HEADINGS)} |\n|---|{'--:|' * (len(HEADINGS) - 1)}")
        for number, way in enumerate(one for one in ways(options.torch, folder) if options.only in one.says):
            other = folder / f"way{number}-{way.says.replace(' ', '_').replace(',', '')}"
            repeated(data, other, way)
            print(f"| {way.says} | {compared(first, other)} |", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--torch", nargs="*", default=[], metavar="VERSION", help="other versions of torch")
    parser.add_argument("--only", default="", help="ways that contain this")
    parser.add_argument("--directory", type=Path, help="keeps the runs, and goes on with those that are there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
