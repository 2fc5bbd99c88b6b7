"""Experts are static embeddings whose words lie so that every score is linear in the experts' weights."""

import numpy as np
import polars as pl
import pytest
from tinymodels import save_words

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import CORPUS, DEV_POOL, EXPERT_SCORES, QUERIES
from tdro.config.commands import DevDataset, ExpertScoresJob, FitLawJob
from tdro.config.experts import Experts
from tdro.config.models import Encoding
from tdro.errors import UserError
from tdro.evaluation import expert_scores as module
from tdro.evaluation.expert_scores import candidates, expert_scores
from tdro.mixtures.derive import derive
from tdro.mixtures.fit_law import fit_law, read_law
from tdro.mixtures.weights import Weights, write_weights

TASKS = ["a", "b.c", "d-e"]
TEMPERATURE = 0.002
#: How far each expert moves the wrong passage of each dataset away from the query (rows: datasets), in cosines.
PUSHES = np.array([[0.010, 0.004, -0.002], [0.001, 0.008, 0.000], [-0.003, 0.002, 0.006]])
#: By how much the right passage of each dataset is nearer to the query than the wrong one after the warm-up.
MARGINS = np.array([0.004, 0.005, 0.006])


def words(pushed):
    """Vectors in which a query has cosine 0 with its right passage, and less with its wrong one the more it is pushed.

    A wrong passage lies so far from the queries' plane that its length hardly changes, and its cosine is linear.
    """
    vectors = {}
    for number, (margin, push) in enumerate(zip(MARGINS, pushed, strict=True)):
        query, wrong = np.zeros(8), np.zeros(8)
        query[number] = 1
        wrong[[number, 6]] = -(margin + push), 1
        vectors |= {f"query{number}": query, f"right{number}": np.eye(8)[7], f"wrong{number}": wrong}
    return vectors


@pytest.fixture
def made(tmp_path):
    """A warm-up, three experts, a dataset of one query for each task, and the job that measures them."""
    folders = [save_words(tmp_path / "warmup", words(np.zeros(3)))]
    folders += [save_words(tmp_path / f"expert{k}", words(PUSHES[:, k])) for k in range(3)]
    datasets = {}
    for number, task in enumerate(TASKS):
        data = tmp_path / "data" / task
        passages = [f"wrong{number}", f"right{number}"]
        write_table(data / "corpus.parquet", {"passage_id": "01", "title": [""] * 2, "text": passages}, CORPUS)
        asked = {"query_id": ["0"], "query": [f"query{number}"], "positives": [[1]], "negatives": [[]]}
        write_table(data / "queries.parquet", asked, QUERIES)
        write_table(data / "pool.parquet", {"query": [0], "candidates": [[1, 0]]}, DEV_POOL)
        files = {name: str(data / f"{name}.parquet") for name in ("corpus", "queries")}
        datasets[task] = DevDataset(**files, candidates=str(data / "pool.parquet"), instruction="Find it.")
    write_weights(tmp_path / "uniform.json", Weights(dict.fromkeys(TASKS, 1 / 3), dict.fromkeys(TASKS, 9)))
    encoding = Encoding(precision="fp32")
    job = ExpertScoresJob(datasets=datasets, tasks=TASKS, temperature=TEMPERATURE, encoding=encoding, seed=3)
    return tmp_path, folders, job


def measure(made, output="dev.parquet", **changes):
    folder, (warmup, *experts), job = made
    places = (folder / "uniform.json", folder / output, folder / "checkpoints")
    expert_scores(warmup, experts, *places, job.model_copy(update=changes))
    return pl.DataFrame(read_table(folder / output, EXPERT_SCORES))


def by_hand(ratio):
    """Losses of the datasets, shape (3,)."""
    return np.log1p(np.exp(-(MARGINS + PUSHES @ ratio) / TEMPERATURE))


def test_every_candidate_scores_as_the_sum_of_its_experts_does_by_hand(made):
    table = measure(made)
    ratios = candidates(made[2], np.full(3, 9.0))
    assert len(ratios) == 41
    assert table["candidate"].unique(maintain_order=True).to_list() == list(ratios)
    np.testing.assert_allclose(ratios["warmup"], 0)
    np.testing.assert_allclose(ratios["expert-b.c"], [0, 1, 0])
    np.testing.assert_allclose(ratios["without-b.c"], [0.5, 0, 0.5])
    for name, part in table.group_by("candidate"):
        ratio = ratios[name[0]]
        told = {pair["task"]: pair["weight"] for pair in part["ratio"][0]}
        assert [told.get(task, 0) for task in TASKS] == ratio.tolist()
        losses = dict(part.select("dataset", "loss").iter_rows())
        np.testing.assert_allclose([losses[task] for task in TASKS], by_hand(ratio), rtol=2e-3)
    assert not (made[0] / "checkpoints").exists()


def test_the_law_of_these_losses_foretells_other_ratios_and_gives_the_best(made):
    measure(made)
    folder = made[0]
    fit_law(folder / "dev.parquet", folder / "uniform.json", folder / "law.json", FitLawJob())
    told = read_law(folder / "law.json")
    assert told.trusted
    assert told.ranking.min() > 0.99
    others = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    expected = np.array([by_hand(ratio) for ratio in others])
    np.testing.assert_allclose(told.law.losses(others), expected, rtol=0.03)  # log(1 + e^x) is no exponential
    table = 1 - np.array([by_hand(ratio) for ratio in np.eye(3)]).T / by_hand(np.zeros(3))[:, None]
    np.testing.assert_allclose(told.transfer, table, atol=2e-3)
    # The best ratio of the true losses, over a fine grid.
    grid = np.array([(x, y, 1 - x - y) for x in np.arange(0, 1.001, 0.01) for y in np.arange(0, 1.001 - x, 0.01)])
    gains = np.array([(by_hand(ratio) / by_hand(np.full(3, 1 / 3))).mean() for ratio in grid])
    best = grid[(gains + 0.001 * (np.maximum(grid, 1e-12) * np.log(3 * np.maximum(grid, 1e-12))).sum(axis=1)).argmin()]
    sources = [folder / "law.json", folder / "uniform.json"]
    found = derive(sources, "mergemix", rows=9, experts=Experts(penalty=0.001)).weights
    np.testing.assert_allclose(list(found.values()), 1 / 6 + best / 2, atol=0.02)


def test_a_killed_job_goes_on_and_another_one_starts_afresh(made, monkeypatch):
    whole, score, scored = measure(made, "whole.parquet"), module.score, []

    def counted(*arguments):
        if len(scored) == 5:
            raise KeyboardInterrupt
        scored.append(arguments)
        return score(*arguments)

    monkeypatch.setattr(module, "score", counted)
    with pytest.raises(KeyboardInterrupt):
        measure(made)
    monkeypatch.setattr(module, "score", lambda *arguments: scored.append(arguments) or score(*arguments))
    assert measure(made).equals(whole)
    assert len(scored) == 41
    measure(made, seed=4)
    assert len(scored) == 82


def test_experts_and_tasks_must_be_as_many(made):
    folder, folders, job = made
    with pytest.raises(UserError, match="3 experts for the 2 tasks"):
        measure((folder, folders, job.model_copy(update={"tasks": TASKS[:2]})))
