import pytest
from trainings import ENCODING, save_untrained

from tdro.config.commands import EvalDataset
from tdro.errors import UserError
from tdro.evaluation.evaluate import evaluate
from tdro.training.train import train


@pytest.mark.parametrize(
    ("layout", "change", "message"),
    [
        ("homogeneous", {"steps": 9}, "does not hold 9 steps of 4 rows"),
        ("homogeneous", {"batch_size": 8, "steps": 4}, "does not hold 4 steps of 8 rows"),
        ("homogeneous", {"negatives": 1}, "does not have 1 negatives in every row"),
        ("mixed", {}, "mixes tasks within a step"),
    ],
)
def test_a_plan_of_other_settings_is_refused(project, layout, change, message):
    with pytest.raises(UserError, match=message):
        train(project.places("m", project.plan(layout)), project.train_job(**change))


def test_an_instruction_that_fills_the_query_stops_every_stage(project):
    short = ENCODING.model_copy(update={"query_length": 16})
    refused = pytest.raises(UserError, match=r"plain: the instruction 'Find it.' takes 26 tokens.*query_length is 16")
    project.losses()
    with refused:
        project.train("m", project.train_job(encoding=short))
    with refused:
        project.optimize(project.optimize_job(short))
    save_untrained(project.model, short, project.folder / "trained")
    with refused:
        project.reference(project.folder / "trained", "r.parquet")
    for retriever in (project.folder / "trained", project.model):
        files = {name: str(project.folder / "data" / "plain" / f"{name}.parquet") for name in ("corpus", "queries")}
        with refused:
            dataset = EvalDataset(**files, instruction="Find it.")
            evaluate(retriever, {"plain": {"plain": dataset}}, short, project.folder / "e")
