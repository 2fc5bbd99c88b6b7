"""The benchmark of a GPU, which nobody here can run on one, runs to its end on a CPU."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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
