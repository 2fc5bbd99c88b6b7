import logging

import numpy as np
import pytest

from tdro.artifacts.files import write_json, write_table
from tdro.artifacts.schemas import EXPERT_SCORES
from tdro.config.commands import FitLawJob
from tdro.errors import UserError
from tdro.mixtures.fit_law import fit_law, read_law
from tdro.mixtures.mixinglaw import Law
from tdro.mixtures.ratios import candidate_ratios
from tdro.mixtures.weights import Weights, write_weights

TASKS = ["a", "b", "c"]
TRUE = Law(np.array([0.3, 0.1]), np.array([[-2.0, 0.5, 0.0], [0.2, -1.0, -0.4]]))
WARM = np.array([1.6, 1.3])


def measured(folder, losses_of, warm=WARM, datasets=("a", "wiki")):
    """Scores of the warm-up and of candidates, two queries a dataset whose mean is the loss."""
    ratios = candidate_ratios(np.full(3, 1 / 3), 1)
    names = ["warmup", "uniform", *(f"expert-{task}" for task in TASKS), *(f"r{n}" for n in range(len(ratios) - 4))]
    losses = np.vstack([warm, losses_of(ratios)])
    rows = [
        {
            "candidate": name,
            "ratio": [{"task": task, "weight": weight} for task, weight in zip(TASKS, ratio, strict=True) if weight],
            "dataset": dataset,
            "query": query,
            "loss": loss * share,
            "reciprocal_rank": 0.5,
        }
        for name, ratio, of_name in zip(names, np.vstack([np.zeros(3), ratios]), losses, strict=True)
        for dataset, loss in zip(datasets, of_name, strict=True)
        for query, share in enumerate((0.5, 1.5))
    ]
    write_table(folder / "dev.parquet", {key: [row[key] for row in rows] for key in rows[0]}, EXPERT_SCORES)
    write_weights(folder / "uniform.json", Weights(dict.fromkeys(TASKS, 1 / 3), dict.fromkeys(TASKS, 7)))
    return ratios


def fitted(folder):
    fit_law(folder / "dev.parquet", folder / "uniform.json", folder / "law.json", FitLawJob(rho=0.4))
    return read_law(folder / "law.json")


def test_a_law_is_found_again_in_mean_losses_and_read_as_it_was_written(tmp_path):
    ratios = measured(tmp_path, TRUE.losses)
    found = fitted(tmp_path)
    assert (found.tasks, found.datasets, found.rho, found.untold) == (TASKS, ["a", "wiki"], 0.4, [])
    others = np.random.default_rng(3).dirichlet(np.ones(3), 20)
    np.testing.assert_allclose(found.law.losses(others), TRUE.losses(others), rtol=2e-3)
    assert found.trusted and found.ranking.min() > 0.99
    np.testing.assert_allclose(found.ratios, ratios)
    np.testing.assert_allclose(found.measured, TRUE.losses(ratios))
    np.testing.assert_allclose(found.transfer, 1 - TRUE.losses(np.eye(3)).T / WARM[:, None])


def test_a_law_that_ranks_nothing_is_warned_of(tmp_path, caplog):
    measured(tmp_path, lambda ratios: np.random.default_rng(0).uniform(1, 1.01, (len(ratios), 2)))
    with caplog.at_level(logging.WARNING):
        assert not fitted(tmp_path).trusted
    assert "mergemix is not to be trusted; train the experts longer" in caplog.text


def test_a_dataset_of_which_no_query_is_missed_is_left_out(tmp_path, caplog):
    def losses(ratios):
        found = TRUE.losses(ratios)
        found[5, 1] = 0  # as where every positive is 0.08 nearer than all others, at a temperature of 0.002
        return found

    measured(tmp_path, losses)
    found = fitted(tmp_path)
    assert (found.datasets, found.untold, found.transfer.shape) == (["a"], ["wiki"], (1, 3))
    assert "misses no dev query of wiki; the law leaves that out" in caplog.text
    measured(tmp_path, lambda ratios: np.zeros((len(ratios), 2)), warm=np.zeros(2))
    with pytest.raises(UserError, match=r"dev\.parquet: no dev query is missed"):
        fitted(tmp_path)


def test_another_file_is_no_law(tmp_path):
    write_json(tmp_path / "x.json", {"tasks": ["a"]})
    with pytest.raises(UserError, match=r"x\.json is no whole law of merged experts .*; make it with `tdro fit-law`"):
        read_law(tmp_path / "x.json")
