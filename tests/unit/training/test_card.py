import re
import tarfile

import numpy as np
import pytest
from trainings import TASKS

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import CORPUS, PLAN, QUERIES
from tdro.export.package import export
from tdro.mixtures.weights import Weights, write_weights
from tdro.models.load import load_trained
from tdro.training.train import train


def plant(data):
    """Texts of a task that are found nowhere else."""
    rows, ids = range(8), [str(i) for i in range(8)]
    texts = {kind: [f"{kind}{i}zyxw secret" for i in rows] for kind in ("query", "passage")}
    passages = {"passage_id": ids, "title": ["titlezyxw"] * 8, "text": texts["passage"]}
    write_table(data / "corpus.parquet", passages, CORPUS)
    answers = [[i] for i in rows]
    queries = {"query_id": ids, "query": texts["query"], "positives": answers, "negatives": [[]] * 8}
    write_table(data / "queries.parquet", queries, QUERIES)


@pytest.mark.parametrize("shown", [0, 2])
def test_no_text_of_the_training_and_no_path_of_the_machine_is_in_a_model_or_package(project, tmp_path, shown):
    plant(tmp_path / "data" / "plain")
    rows = [(i // 4, i % 4, "plain", i, i, [(i + 1) % 8]) for i in range(8)]
    write_table(tmp_path / "plan.parquet", dict(zip(PLAN.names, zip(*rows, strict=True), strict=True)), PLAN)
    job = project.train_job(steps=2, negatives=1, card_examples=shown)
    job = job.model_copy(update={"tasks": {"plain": TASKS["plain"]}})
    train(project.places("model", tmp_path / "plan.parquet"), job)
    write_weights(tmp_path / "w.json", Weights({"plain": 1.0}, {"plain": 8}))
    export(tmp_path / "model", tmp_path / "w.json", [], tmp_path / "out" / "mine.tar.gz")
    with tarfile.open(tmp_path / "out" / "mine.tar.gz") as archive:
        archive.extractall(tmp_path / "unpacked")
    for folder in (tmp_path / "model", tmp_path / "unpacked"):
        contents = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        assert len(contents) > 5
        with_texts = {file.name for file, content in contents.items() if b"zyxw" in content}
        assert with_texts == ({"README.md"} if shown else set())
        for place in (str(tmp_path), str(project.base), str(project.base.parent)):
            assert not [file for file, content in contents.items() if place.encode() in content]
    card = (tmp_path / "model" / "README.md").read_text()
    assert [i for i in range(8) if f"query{i}zyxw" in card] == list(range(shown))


def test_a_card_says_what_the_base_is_and_its_code_runs(project, monkeypatch):
    model = project.train("model", project.train_job(steps=2))
    card = (model / "README.md").read_text()
    assert f"Base: a local folder, `{project.base.name}`" in card
    assert "Unknown" not in card
    assert "`Find it.`" in card
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    monkeypatch.chdir(model)
    found = {}
    exec(code, found)  # as somebody who has read the card would type it
    expected = load_trained(model).encode(["Instruct: Find it.\nQuery: first query"])
    np.testing.assert_allclose(found["queries"][:1], expected, atol=1e-5)
