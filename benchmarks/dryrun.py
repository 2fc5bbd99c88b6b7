"""Time of a dry run of many jobs, in the parts that this project and Snakemake itself take of it.

    python benchmarks/dryrun.py                                    # 200 tasks, 6 models, 10 mixtures, 60 benchmarks
    python benchmarks/dryrun.py --tasks 20 --models 2 --benchmarks 6
    python benchmarks/dryrun.py --profile dryrun.prof              # with cProfile, which doubles the time

A registry is made of local files of a few rows. Snakemake runs in a process of its own as `tdro plan-run` starts it,
and so do `snakemake --version` (the start of the interpreter) and a dry run of one job (the reading of configuration
and rules). Seconds are those of the processor. Of the profile, those in functions of this project, of pydantic and of
Snakemake are added up.
"""

import argparse
import json
import os
import pstats
import re
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import yaml

from tdro.pipeline.screen.install import PLANNED

ROOT = Path(__file__).parents[1]
MIXTURES = ["uniform", "curr", "top70", "top50", "top30", "mean", "ema", "proportional", "temperature2", "temperature3"]
#: Snakemake's arguments that leave the list of jobs out.
DRY_RUN = ["--dry-run", "--quiet", "rules", "progress"]


def main() -> None:
    """Measure and print."""
    options = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), options.tasks, options.models, options.mixtures, options.benchmarks)
        start, _ = _timed(folder, [], "--version")
        parse, _ = _timed(folder, [], "results/data/task0/corpus.parquet", *DRY_RUN)
        profiled = ["-m", "cProfile", "-o", str(options.profile.absolute())] if options.profile else []
        whole, said = _timed(folder, profiled, *DRY_RUN)
    jobs = re.search(r"^\| total +\| +([\d,]+)", said, re.MULTILINE)[1]
    print(f"{jobs} jobs: {whole:.1f} s; one job: {parse:.1f} s, of it the start of the interpreter: {start:.1f} s")
    if options.profile:
        for part, seconds in _parts(options.profile).most_common():
            print(f"  {part:12} {seconds:6.1f} s")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--models", type=int, default=6)
    parser.add_argument("--mixtures", type=int, default=len(MIXTURES), choices=range(1, len(MIXTURES) + 1))
    parser.add_argument("--benchmarks", type=int, default=60)
    parser.add_argument("--profile", type=Path, metavar="FILE", help="keep the profile, and print whose time it was")
    return parser.parse_args()


def make(folder: Path, tasks: int, models: int, mixtures: int, benchmarks: int) -> None:
    """Write a configuration, its registry and data of three rows each."""
    entries = {
        "tasks": {f"task{n}": {"category": "made", "held_out": 1} for n in range(tasks)},
        "benchmarks": {f"bench{n}": {} for n in range(benchmarks)},
    }
    for name, entry in ((name, entry) for section in entries.values() for name, entry in section.items()):
        rows = [{"query": f"{name} {n}?", "positive": f"The answer to {n} of {name}."} for n in range(3)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        entry |= {"language": "en", "instruction": "Find it.", "source": {"reader": "jsonl", "path": f"{name}.jsonl"}}
    (folder / "registry.yaml").write_text(yaml.safe_dump(entries))
    base = "sentence-transformers/all-MiniLM-L6-v2"
    config = {
        "registry": "registry.yaml",
        "models": [{"name": f"model{n}", "base": base} for n in range(models)],
        "proxy": "model0",
        "seeds": [1],
        "mixtures": MIXTURES[:mixtures],
        "benchmarks": ["in_domain", *entries["benchmarks"]],
        "mining": {"encode": {"model": base}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def _timed(folder: str, profiled: list[str], *arguments: str) -> tuple[float, str]:
    line = [
        sys.executable,
        *profiled,
        "-m",
        "snakemake",
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--configfile",
        "config.yaml",
        "--nolock",
    ]
    begun = _of_the_processor()
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), PLANNED: "1"}
    run = subprocess.run([*line, *arguments], cwd=folder, capture_output=True, text=True, env=environment)
    if run.returncode:
        sys.exit(run.stdout + run.stderr)
    return _of_the_processor() - begun, run.stdout + run.stderr


def _of_the_processor() -> float:
    """Seconds of all processes that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _parts(profile: Path) -> Counter[str]:
    """Seconds in functions of this project, of Snakemake and of the rest."""
    found: Counter[str] = Counter()
    for (file, _, _), (_, _, seconds, _, _) in pstats.Stats(str(profile)).stats.items():
        ours = file.startswith((str(ROOT / "tdro"), str(ROOT / "workflow")))
        names = {"pydantic": "pydantic", "snakemake": "snakemake"}
        found["this project" if ours else next((n for n in names if f"/{n}" in file), "the rest")] += seconds
    return found


if __name__ == "__main__":
    main()
