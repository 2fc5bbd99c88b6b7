"""Time of a dry run of many jobs, in the parts that this project and Snakemake itself take of it.

    python benchmarks/dryrun.py                                    # 200 tasks, 6 models, 10 mixtures, 60 benchmarks
    python benchmarks/dryrun.py --tasks 20 --models 2 --benchmarks 6

A registry is made of local files of a few rows. Snakemake runs in a process of its own as `tdro plan-run` starts it,
and so do `snakemake --version` (the start of the interpreter) and a dry run of one job (the reading of configuration
and rules). Seconds are those of the processor. A second run looks every 5 ms whose function is at work, this project's
or Snakemake's; a library's counts for its caller. cProfile would charge each of 250 million calls.
"""

import argparse
import atexit
import json
import os
import re
import resource
import runpy
import signal
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
SAMPLED = "--sampled"


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == [SAMPLED]:
        _sample(sys.argv[2:])
        return
    options = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), options.tasks, options.models, options.mixtures, options.benchmarks)
        plain = ["-m", "snakemake"]
        start, _ = _timed(folder, plain, "--version")
        parse, _ = _timed(folder, plain, "results/data/task0/corpus.parquet", *DRY_RUN)
        whole, said = _timed(folder, plain, *DRY_RUN)
        _, sampled = _timed(folder, [__file__, SAMPLED], *DRY_RUN)
    jobs = re.search(r"^\| total +\| +([\d,]+)", said, re.MULTILINE)[1]
    print(f"{jobs} jobs: {whole:.1f} s; one job: {parse:.1f} s, of it the start of the interpreter: {start:.1f} s")
    shares = json.loads(re.search(r"^shares: (.*)", sampled, re.MULTILINE)[1])
    print(", ".join(f"{whose}: {share:.0%}" for whose, share in shares.items()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--models", type=int, default=6)
    parser.add_argument("--mixtures", type=int, default=len(MIXTURES), choices=range(1, len(MIXTURES) + 1))
    parser.add_argument("--benchmarks", type=int, default=60)
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


def _timed(folder: str, program: list[str], *arguments: str) -> tuple[float, str]:
    line = [sys.executable, *program, "--snakefile", str(ROOT / "Snakefile"), "--configfile", "config.yaml", "--nolock"]
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


def _sample(arguments: list[str]) -> None:
    """Runs Snakemake in this process, and prints how often the innermost known function was whose, in shares of 1."""
    found: Counter[str] = Counter()

    def look(_, frame) -> None:
        while frame and not (whose := _whose(frame.f_code.co_filename)):
            frame = frame.f_back
        found[whose if frame else "the start of Python"] += 1

    def tell() -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        print("shares:", json.dumps({whose: number / found.total() for whose, number in found.most_common()}))

    signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, 0.005, 0.005)
    atexit.register(tell)
    sys.argv = ["snakemake", *arguments]
    runpy.run_module("snakemake", run_name="__main__")


def _whose(file: str) -> str | None:
    """Whose a file is; None: of a library, which works for whoever calls it."""
    if file.startswith((str(ROOT / "tdro"), str(ROOT / "workflow"))):
        return "this project"
    return "Snakemake" if "/snakemake" in file else None


if __name__ == "__main__":
    main()
