"""Whether verdicts keep their level; the benchmark of a GPU, which nobody here can run on one, runs on a CPU."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEVEL = runpy.run_path(str(ROOT / "benchmarks/level.py"))
REPORTS = 200


def calls(**regime) -> int:
    """Of 200 small reports without an effect, how many call a gain or a loss."""
    small = {"queries": (40, 60), "mixtures": 3, "says": "small"}
    return LEVEL["called"](LEVEL["Regime"](**small | regime), REPORTS, samples=400)[0]


@pytest.mark.parametrize(
    "regime",
    [
        LEVEL["TWO_MODELS"],
        {"seeds": 2, "training": 0.3},
        {"seeds": 5, "training": 0.3, "query": 0.0},
        {"seeds": 12, "training": 0.1},
        {"seeds": 5, "difficulty": 4.5, "training": 0.2, "tails": 3},
        {"queries": (40,) * 5, "parts": True} | LEVEL["TWO_MODELS"],
        {"seeds": 5, "better": 1, "by": 1.0},
        {"seeds": 5, "training": 0.2, "study": True},
    ],
    ids=lambda regime: "-".join(regime),
)
def test_where_nothing_is_better_a_verdict_is_as_rare_as_promised(regime):
    """One report in twenty, as far as 200 can tell."""
    assert calls(**regime) <= LEVEL["bound"](REPORTS) == 21


def test_one_seed_tells_models_apart_and_not_mixtures():
    """Why the report says so: the chance of a single training is taken for the mixture."""
    assert calls(seeds=1, training=0.3) > REPORTS / 2


@pytest.mark.thorough
def test_the_benchmark_of_a_gpu_runs_through_on_a_cpu():
    done = subprocess.run(
        [sys.executable, "benchmarks/gpu.py", "--tiny"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = re.findall(r"^\| (\w[^|]*) \| ([\d,]+) (tokens|queries)/s", done.stdout, re.MULTILINE)
    whats = ["training", "CachedMultipleNegativesRankingLoss", "tDRO", "encoding", "exact search"]
    assert [what for what, _, _ in lines] == 2 * whats
    assert all(int(speed.replace(",", "")) > 0 for _, speed, _ in lines)
