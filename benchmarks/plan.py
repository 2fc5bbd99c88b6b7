"""Time and memory of `make_plan`, beside a plan that is drawn row by row.

    python benchmarks/plan.py                # 1000 steps of 2048 rows, with 1 and with 7 negatives
    python benchmarks/plan.py --steps 50

Four tasks of 5,000 to 1.5 million rows, one of which has 50,000 questions with 20 answers. `naive` is what one would
write first: a shuffled list of rows a task, and for each row of the plan a draw of its positive and its negatives. It
plans a tenth of the steps, and its time is multiplied by ten. Each is a process of its own. Memory is the peak of
resident memory above that of the process with the tasks in it.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa

from tdro.artifacts.schemas import PLAN, TRAIN
from tdro.mixtures.plan import make_plan

#: Rows and passages of each task.
TASKS = {
    "small": (5_000, 5_000),
    "questions": (50_000, 20),
    "middle": (600_000, 400_000),
    "large": (1_500_000, 1_500_000),
}
CANDIDATES = 16


def main() -> None:
    """Run every side and print the comparison."""
    options = _arguments()
    if options.side:
        print(json.dumps(_run_side(options.side, options.steps, options.negatives)))
        return
    for layout, negatives in (("homogeneous", 1), ("mixed", 7)):
        sides = {side: _subprocess(side, layout, options.steps, negatives) for side in ("ours", "naive")}
        ours, naive = sides["ours"], sides["naive"]
        print(
            f"{layout}, {negatives} negatives: {ours['rows']} rows in {ours['seconds']:.1f} s, "
            f"{ours['memory_mb']:.0f} MB; row by row {naive['seconds']:.1f} s, "
            f"ours / row by row {ours['seconds'] / naive['seconds']:.3f}"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--negatives", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    return parser.parse_args()


def _subprocess(side: str, layout: str, steps: int, negatives: int) -> dict:
    command = [sys.executable, __file__, "--side", f"{side}/{layout}"]
    command += ["--steps", str(steps), "--negatives", str(negatives)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _run_side(side: str, steps: int, negatives: int) -> dict:
    name, layout = side.split("/")
    tasks = {task: _rows(*size) for task, size in TASKS.items()}
    before, started = _memory(), time.perf_counter()
    shape = {"layout": layout, "batch_size": 2048, "negatives": negatives, "seed": 1}
    scale = 1 if name == "ours" else 10
    plan = {"ours": make_plan, "naive": _naive}[name](tasks, dict.fromkeys(tasks, 0.25), steps=steps // scale, **shape)
    seconds = scale * (time.perf_counter() - started)
    return {"seconds": seconds, "memory_mb": _memory() - before, "rows": plan.num_rows}


def _rows(rows: int, passages: int) -> pa.Table:
    """A task of random positives and candidates, schema ``TRAIN``."""
    rng = np.random.default_rng(rows)
    columns = [
        pa.ListArray.from_arrays(
            np.arange(rows + 1, dtype=np.int32) * size, rng.integers(passages, size=rows * size, dtype=np.int32)
        )
        for size in (1, CANDIDATES)
    ]
    return pa.table([pa.array(range(rows), pa.int32()), *columns], schema=TRAIN)


def _naive(tasks, weights, *, layout, steps, batch_size, negatives, seed) -> pa.Table:
    rng = np.random.default_rng(seed)
    orders = {task: rng.permutation(rows.num_rows).tolist() for task, rows in tasks.items()}
    columns: dict[str, list] = {name: [] for name in PLAN.names}
    names, shares = list(weights), np.array(list(weights.values()))
    for step in range(steps):
        of_step = rng.choice(names, p=shares)
        for slot in range(batch_size):
            task = of_step if layout == "homogeneous" else rng.choice(names, p=shares)
            rows = tasks[task]
            if not orders[task]:
                orders[task] = rng.permutation(rows.num_rows).tolist()
            at = orders[task].pop()
            positives, candidates = rows["positives"][at].as_py(), rows["negatives"][at].as_py()
            row = (step, slot, task, at, rng.choice(positives), rng.choice(candidates, negatives, replace=False))
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
    return pa.table(columns, schema=PLAN)


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
