import numpy as np
import pytest
from killing import Killed
from trainings import ENCODING, REFERENCE_JOB

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import REFERENCE
from tdro.dro import reference as reference_stage
from tdro.models.load import load_trained


def read(file):
    return read_table(file, REFERENCE)["loss"].to_numpy()


@pytest.fixture
def again(project):
    """Reference losses are there; computes those of the same model once more."""
    project.losses()
    return lambda: project.reference(project.folder / "reference", "again.parquet")


def test_reference_losses_of_another_version_are_computed_anew(again, project, monkeypatch, caplog):
    caplog.set_level("INFO", "tdro")
    version = reference_stage.of_stage
    with monkeypatch.context() as patch:
        patch.setattr(reference_stage, "of_stage", lambda stage: version(stage)._replace(code="another"))
        patch.setattr(reference_stage, "write_table", lambda *a, **k: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            again()
    found = again()
    assert f"{project.folder / 'blocks'} belongs to a run with other code; starting afresh" in caplog.messages
    assert "0 of 1 shards are there" in caplog.messages
    assert read_table(found, REFERENCE).equals(read_table(project.folder / "reference.parquet", REFERENCE))


def test_a_killed_reference_job_goes_on_with_the_first_block_missing(again, project, monkeypatch):
    monkeypatch.setattr(reference_stage, "BLOCK", 5)
    whole, made = reference_stage.Judge.losses, []

    def block(judge, rows):
        made.append(len(rows))
        if len(made) == 3:
            raise Killed
        return whole(judge, rows)

    monkeypatch.setattr(reference_stage.Judge, "losses", block)
    with pytest.raises(Killed):
        again()
    assert not (project.folder / "again.parquet").exists()
    found = read(again())
    assert made == [5, 5, 5, 5, 5, 4]  # the first two once, the third twice
    assert not (project.folder / "blocks").exists()
    np.testing.assert_allclose(found, read(project.folder / "reference.parquet"), atol=1e-5)


def test_reference_losses_are_the_models_losses_row_by_row(project):
    losses, texts = read(project.losses()), project.texts()
    retriever = load_trained(project.folder / "reference")
    for row, loss in zip(project.rows("mixed", 6), losses, strict=True):
        query, *passages = [texts[t] for t in texts.of_row(row)]
        scores = retriever.encode_document(passages) @ retriever.encode_query(query) / 0.05
        assert loss == pytest.approx(np.log(np.exp(scores - scores[0]).sum()), abs=1e-4)


def test_short_texts_fill_a_batch_up_to_the_tokens_of_its_longest(project):
    retriever, texts, shapes = load_trained(project.train(job=project.train_job(steps=1))), project.texts(), []
    retriever.register_forward_pre_hook(lambda module, inputs: shapes.append(inputs[0]["input_ids"].shape))
    rows = [texts.of_row(row) for row in project.rows("mixed", 6)]

    def losses(batch_size):
        encoding = ENCODING.model_copy(update={"batch_size": batch_size})
        judge = reference_stage.Judge(retriever, texts, REFERENCE_JOB.model_copy(update={"encoding": encoding}))
        return judge.losses(rows).numpy()

    few = losses(3)
    longest = max(length for _, length in shapes)
    assert all(number * length <= 3 * longest for number, length in shapes)
    assert max(number for number, _ in shapes) > 3
    np.testing.assert_allclose(few, losses(64), atol=1e-5)
