"""What merged experts told, on a page of made-up figures."""

import numpy as np
import pytest
from finished import TASKS, Finished, content

from tdro.artifacts.files import write_json, write_table
from tdro.artifacts.schemas import DEV_SCORES
from tdro.mixtures.fit_law import Told, _as_json
from tdro.mixtures.mixinglaw import Law
from tdro.mixtures.weights import Weights, write_weights
from tdro.report.weights import experts

DATASETS = ["news", "wiki"]
SLOPES = np.array([[-1.0, 0.2, 0.0, 0.1], [0.0, 0.0, -0.5, 0.3]])
TABLE = np.array([[0.4, -0.1, 0.0, 0.02], [0.0, 0.05, 0.2, -0.03]])
SHARES = {"uniform": [0.25] * 4, "mergemix": [0.5, 0.2, 0.15, 0.15], "proportional": [0.1, 0.2, 0.3, 0.4]}
SHARES |= {"without-code": [1 / 3, 0, 1 / 3, 1 / 3]}
FOUND = {"mean": -0.02, "low": -0.04, "high": -0.01, "p": 0.004}


def write(tree, ranking=(0.9, 0.7), dropped=("code",), measured=1.0):
    """The files of seed 1; each mixture's dev losses are those of the law, times a factor."""
    law = Law(np.array([0.1, 0.2]), SLOPES)
    ratios = np.vstack([np.full(4, 0.25), np.eye(4)])
    names = ["uniform", *(f"expert-{task}" for task in TASKS)]
    told = Told(TASKS, DATASETS, 0.5, law, np.array(ranking), names, ratios, law.losses(ratios), TABLE, ["dull"])
    write_json(tree.layout.experts("tiny", 1, "law.json"), _as_json(told))
    for mixture, shares in SHARES.items():
        used = {task: share for task, share in zip(TASKS, shares, strict=True) if share}
        write_weights(tree.layout.weights("tiny", 1, mixture), Weights(used, dict.fromkeys(used, 9)))
        losses = measured * law.losses((np.array([shares]) - 0.125) / 0.5)[0]
        columns = {"dataset": DATASETS, "query": [0, 0], "loss": losses, "reciprocal_rank": [1, 1]}
        write_table(tree.layout.dev_scores("tiny", 1, mixture), columns, DEV_SCORES)
    trained = {"code": FOUND | {"holm": 0.016}} if dropped else {}
    merged = dict.fromkeys(TASKS, FOUND | {"mean": 0.01})
    decided = {"merged": merged, "trained": trained, "dropped": list(dropped), "kept": TASKS}
    write_json(tree.layout.experts("tiny", 1, "prune.json"), decided)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    settings = content(mixtures=["uniform", "curr"], told=list(SHARES), pruned=True)
    return Finished(tmp_path_factory.mktemp("experts"), settings)


def test_numbers_of_the_page_are_those_of_the_files(tree):
    write(tree)
    found = experts.collect(tree.settings, tree.layout)
    assert [line.cells for line in found.transfer] == [
        ["+0.400", "-0.100", "+0.000", "+0.020", "0.90"],
        ["+0.000", "+0.050", "+0.200", "-0.030", "0.70"],
    ]
    assert [line.heading for line in found.foretold] == list(SHARES)
    for line, shares in zip(found.foretold, SHARES.values(), strict=True):
        ratio = (np.array(shares) - 0.125) / 0.5
        losses = np.array([[0.1], [0.2]]) + np.exp(SLOPES @ np.array([ratio, [0.25] * 4]).T)
        expected = f"{np.mean(losses[:, 0] / losses[:, 1]):.3f}"
        outside = "outside of what experts can tell" if min(shares) < 0.125 else ""
        assert line.cells == [expected, expected, outside]
    assert found.pruned[1].heading == "code"
    assert found.pruned[1].cells == ["+0.010 [-0.040, -0.010]", "-0.020 [-0.040, -0.010], corrected p 0.016", "dropped"]
    assert found.pruned[0].cells[1:] == ["not asked", "kept"]
    assert "prune trains without code." in found.remarks
    assert "misses no dev query of dull" in found.remarks[1]
    assert "rank correlation (Spearman) of 1.00" in found.remarks[2]


def test_the_page_has_a_heat_map_of_which_dataset_helps_which(tree):
    write(tree)
    page = tree.report()
    assert "Which dataset helps which" in page.text
    for value in TABLE.ravel():
        assert f">{value:+.2f}<" in page.html.replace("−", "-")
    assert "outside of what experts can tell" in page.text


def test_a_law_that_ranks_nothing_and_no_task_to_drop_are_said(tree):
    write(tree, ranking=(0.2, 0.6), dropped=())
    remarks = experts.collect(tree.settings, tree.layout).remarks
    assert remarks[0].endswith("of 0.40, below 0.5: do not trust mergemix, nor single numbers of the table below.")
    assert remarks[-1] == "No task can be told to harm, so prune is uniform."


def test_trainings_that_miss_no_dev_query_are_alike(tree):
    write(tree, measured=0.0)
    assert {line.cells[1] for line in experts.collect(tree.settings, tree.layout).foretold} == {"1.000"}


def test_without_experts_there_is_nothing_to_show(tree):
    assert experts.collect(content(), tree.layout) is None
