"""The stage optimize on a tiny model, through its public function."""

import numpy as np
import pandas as pd
import pytest
from killing import KillAt, stopped
from trainings import ENCODING, TASKS, save_untrained
from updateoracle import replay

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import HEAVIEST, REFERENCE
from tdro.errors import UserError
from tdro.mixtures.derive import uniform
from tdro.mixtures.weights import Weights, write_weights
from tdro.training.losses import own_negatives_loss


@pytest.mark.parametrize(
    ("measure", "accumulation"),
    [("released", 2), ("ratio", 1), ("ratio", 2), ("difference", 2), ("excess", 1), ("proxy", 2)],
)
def test_the_trajectory_is_what_the_formulas_make_of_the_losses_of_the_rows(
    project, monkeypatch, measure, accumulation
):
    """The losses of the rows go through a second implementation of docs/algorithm.md."""
    losses = []

    def recorded(*arguments, **others):
        found = own_negatives_loss(*arguments, **others)
        losses.append(found.detach().double().numpy())
        return found

    monkeypatch.setattr("tdro.dro.loss.own_negatives_loss", recorded)
    reference_rows = read_table(project.losses(), REFERENCE)["loss"].to_numpy().astype(np.float64)
    job = project.optimize_job(accumulation=accumulation, measure=measure, step_size=0.5)
    table = project.optimize(job).to_pandas()
    plan = pd.DataFrame(project.rows("mixed", 6))
    tasks = plan["task"].map({name: number for number, name in enumerate(TASKS)}).to_numpy()
    micro = [part.reshape(-1, 4 // accumulation) for part in (tasks, np.concatenate(losses), reference_rows)]
    batches = list(zip(*micro, strict=True))
    windows = [batches[start : start + accumulation] for start in range(0, len(batches), accumulation)]
    steps = replay(windows, 2, measure=measure, step_size=0.5, ema=job.tdro.ema)
    assert table["step"].tolist() == [s for s in range(6) for _ in TASKS]
    assert table["task"].tolist() == list(TASKS) * 6
    assert table["rows"].tolist() == [int((step == g).sum()) for step in tasks.reshape(6, 4) for g in (0, 1)]
    for column in ("measurement", "gradient", "effective_rows", "weight", "mean", "ema"):
        expected = np.concatenate([step[column] for step in steps])
        np.testing.assert_allclose(table[column], expected, rtol=2e-4, atol=1e-5, err_msg=column)

    plan["carried"] = np.concatenate([step["parts"] for step in steps])
    plan["reference"] = reference_rows
    heaviest = read_table(project.folder / "heaviest_rows.parquet", HEAVIEST).to_pandas()
    for task, rows in plan.groupby("task"):
        grouped = rows.groupby(["query", "positive"])
        shares = (grouped["carried"].sum() / rows["carried"].sum()).sort_values(ascending=False)
        mine = heaviest[heaviest["task"] == task]
        assert set(mine["rows"]) == {len(shares)}
        np.testing.assert_allclose(mine["share"], shares.iloc[:10], rtol=1e-4, atol=1e-7)
        for row in mine.itertuples():
            of_row = grouped.get_group((row.query, row.positive))
            assert row.draws == len(of_row)
            assert row.share == pytest.approx(shares[row.query, row.positive], rel=1e-4, abs=1e-7)
            assert row.reference_loss == pytest.approx(of_row["reference"].mean())


def test_a_first_step_without_reference_difference_measures_one(project):
    """The untrained base as reference: at step 0 the proxy is the reference."""
    save_untrained(project.model, ENCODING, project.folder / "base")
    project.reference(project.folder / "base")
    table = project.optimize(project.optimize_job(accumulation=1, measure="ratio"))
    assert table["measurement"].to_pylist()[:2] == pytest.approx([1, 1], abs=1e-4)


def test_a_killed_tdro_resumes_to_the_same_trajectory(project, monkeypatch):
    project.losses()
    whole, heaviest = project.optimize(), (project.folder / "heaviest_rows.parquet").read_bytes()
    stopped(monkeypatch, KillAt(3), lambda: project.optimize(name="resumed"))
    assert project.optimize(name="resumed").equals(whole)
    assert (project.folder / "heaviest_rows.parquet").read_bytes() == heaviest


def test_weights_of_zero_cannot_start_tdro(project):
    project.losses()
    write_weights(project.folder / "uniform.json", Weights({"plain": 1.0, "twin": 0.0}, {"plain": 30, "twin": 30}))
    with pytest.raises(UserError, match="weight of 'twin' is 0"):
        project.optimize()


def test_reference_losses_of_another_plan_are_refused(project):
    project.losses()
    with pytest.raises(UserError, match="computed on another plan"):
        project.optimize(plan=project.plan("mixed", 6, seed=2))


def test_weights_that_lack_a_task_of_the_plan_are_refused(project):
    project.losses()
    write_weights(project.folder / "uniform.json", uniform({"plain": 30}))
    with pytest.raises(UserError, match=r"task 'twin', which .*uniform.json lacks"):
        project.optimize()
