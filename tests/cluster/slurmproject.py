"""A tiny project, run through `--profile slurm` on the SLURM of slurm.sh."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml
from waits import waiting

ROOT = Path(__file__).parents[2]
RUN = "results/tiny/seed1"

# The profile's figures are the paper's; here the jobs must fit two nodes of two GPUs.
RESOURCES = {
    "train": "gpu=2",
    "optimize": "gpu=1",
    "reference": "gpu=1",
    "evaluate": "gpu=1",
}


class Project:
    """A folder in which Snakemake is run as on a login node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def copy(self, folder: Path) -> "Project":
        """The same results, in a folder that another test may spoil; inputs stay where they are."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("locks"))
        return Project(folder)

    def start(
        self, *arguments: str, resources: dict[str, str] | None = None, waits: dict[str, str] | None = None
    ) -> subprocess.Popen:
        """Snakemake in a process of its own, with the environment of `waits`; its output goes to `output.txt`."""
        asked = {rule: f"mem_mb=3000 runtime=600 {more}" for rule, more in (RESOURCES | (resources or {})).items()}
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--profile", str(ROOT / "slurm")]
        command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(self.folder)]
        command += ["--set-resources", *(f"{rule}:{r}" for rule, all in asked.items() for r in all.split(" "))]
        command += ["--default-resources", "mem_mb=2000", "runtime=600", "--set-threads", "train=2", "optimize=2"]
        command += ["--configfile", str(self.folder / "config.yaml")]
        command += ["--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10", *arguments]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "TDRO_CACHE": str(self.folder / "cache")}
        environment |= waits or {}
        output = (self.folder / "output.txt").open("w")
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=output, stderr=subprocess.STDOUT)

    def run(self, *arguments: str, check: bool = True, **keys) -> str:
        status = self.start(*arguments, **keys).wait()
        assert (status == 0) == check, self.output
        return self.output

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def jobs(self, rule: str = "") -> list[dict[str, str]]:
        """What SLURM's accounting says of the jobs of this folder, requeues as further entries."""
        fields = ["JobID", "Comment", "State", "AllocTRES", "NNodes", "WorkDir"]
        rows = sacct("--allocations", "--duplicates", f"--format={','.join(fields)}")
        jobs = [dict(zip(fields, row, strict=True)) for row in rows]
        mine = [job for job in jobs if Path(job["WorkDir"]) == self.folder]
        return [job for job in mine if job["Comment"].startswith(f"rule_{rule}")]

    def running(self, rule: str) -> str:
        """Number of the running job of a rule, of squeue: the accounting learns a job's comment when it ends."""
        listing = ["squeue", "--noheader", "--states=RUNNING", "--format=%A|%Z|%k"]
        rows = [line.split("|") for line in subprocess.check_output(listing, text=True).splitlines()]
        [job] = [job for job, folder, rule_ in rows if folder == str(self.folder) and rule_.startswith(f"rule_{rule}_")]
        return job

    def start_and_wait(self, target: str, *arguments: str) -> subprocess.Popen:
        """Start to learn the weights, and return once the job waits in its seventh step.

        Checkpoints are written every fifth. It goes on when it is told to stop, or by :meth:`go_on`.
        """
        waits = waiting(self.folder / "waits", "tdro.dro.loss:RobustLoss.forward", 13)
        snakemake = self.start(target, *arguments, waits=waits)
        while not (self.folder / "waits/waits-1").exists():
            assert snakemake.poll() is None, self.output
            time.sleep(0.1)
        return snakemake

    def go_on(self) -> None:
        """Let the job that waits go on."""
        (self.folder / "waits/go").touch()


def sacct(*arguments: str) -> list[list[str]]:
    command = ["sacct", "--noheader", "--parsable2", "--starttime=now-1day", *arguments]
    return [line.split("|") for line in subprocess.check_output(command, text=True).splitlines()]


def write_rows(path: Path, rows: int) -> None:
    with path.open("w") as file:
        for number in range(rows):
            row = {
                "query": f"{path.stem} item {number} of shelf {number * 7 % 31}",
                "positive": f"the {path.stem} item {number} lies on shelf {number * 7 % 31}",
                "negatives": [f"another {path.stem} thing {number + k} lies elsewhere" for k in range(1, 4)],
            }
            file.write(json.dumps(row) + "\n")


def dataset(path: Path, **keys) -> dict:
    source = {"reader": "jsonl", "path": str(path)}
    return {"source": source, "language": "en", "instruction": "Find the shelf.", **keys}


def make_project(folder: Path, base: Path, **changes) -> Project:
    """Two tasks with negatives of their own and a benchmark; configuration keys may be changed."""
    for name in ("red", "blue", "web", "news"):
        write_rows(folder / f"{name}.jsonl", 40)
    task = {"category": "toy", "negatives": "provided"}
    registry = {
        "tasks": {name: dataset(folder / f"{name}.jsonl", **task) for name in ("red", "blue")},
        "benchmarks": {name: dataset(folder / f"{name}.jsonl") for name in ("web", "news")},
    }
    (folder / "registry.yaml").write_text(yaml.safe_dump(registry))
    steps = {"batch_size": 8, "warmup_steps": 1, "learning_rate": 0.001, "temperature": 0.5, "save_steps": 5}
    config = {
        "registry": str(folder / "registry.yaml"),
        "benchmarks": ["web"],
        "models": [{"name": "tiny", "base": str(base)}],
        "proxy": "tiny",
        "seeds": [1],
        "mixtures": ["uniform", "curr"],
        "encoding": {"query_length": 96, "passage_length": 96, "precision": "fp32"},
        "training": steps | {"steps": 4, "log_steps": 1},
        "tdro": steps | {"steps": 20, "negatives": 2, "accumulation": 2},
        "report": {"bootstrap_samples": 200},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config | changes))
    return Project(folder)
