import json

import numpy as np

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import EXPERT_SCORES
from tdro.config.commands import PruneJob
from tdro.evaluation.prune_candidates import prune_candidates

#: What each task adds to the reciprocal rank.
ADDS = {"good": 0.05, "idle": 0.0, "bad": -0.03, "ugly": -0.06, "worse": -0.05}


def write(file, adds):
    random, rows = np.random.default_rng(0), []
    whole = {dataset: random.uniform(0.3, 0.7, 120) for dataset in ("faq", "wiki")}
    shifts = {"warmup": -0.1, "uniform": 0.0} | {f"expert-{task}": -0.05 for task in adds}
    shifts |= {f"without-{task}": -adds[task] for task in adds}
    for candidate, shift in shifts.items():
        for dataset, ranks in whole.items():
            noise = random.normal(0, 0.02, len(ranks)) if shift else 0 * ranks
            rows += [
                *(
                    {"candidate": candidate, "ratio": [], "dataset": dataset, "query": n, "loss": 1.0, "rank": rank}
                    for n, rank in enumerate(ranks + shift + noise)
                )
            ]
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    write_table(file, columns | {"reciprocal_rank": columns.pop("rank")}, EXPERT_SCORES)


def test_the_tasks_that_surely_harm_are_asked_about_the_worst_first_and_half_at_most(tmp_path):
    write(tmp_path / "dev.parquet", ADDS)
    prune_candidates(tmp_path / "dev.parquet", tmp_path / "found.json", PruneJob(samples=500))
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["tasks"], found["asked"]) == (list(ADDS), ["ugly", "worse"])
    for task, adds in ADDS.items():
        assert abs(found["merged"][task]["mean"] - adds) < 0.01
    assert found["merged"]["bad"]["high"] < 0


def test_where_no_task_harms_none_is_asked_about(tmp_path):
    write(tmp_path / "dev.parquet", {"a": 0.0, "b": 0.1, "c": 0.02})
    prune_candidates(tmp_path / "dev.parquet", tmp_path / "found.json", PruneJob(samples=500))
    assert json.loads((tmp_path / "found.json").read_text())["asked"] == []
