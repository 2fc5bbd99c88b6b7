import numpy as np
import pytest
from minings import mine
from tinymodels import bert

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import CANDIDATES
from tdro.config.mining import Rescore
from tdro.mining.rescore import rescore


@pytest.mark.parametrize("gpus", [1, 2])
def test_mining_that_is_told_to_use_the_cpu_leaves_gpus_alone(data, miner, tmp_path, monkeypatch, gpus):
    """On a machine that seems to have GPUs; whoever touched one would fail."""
    import torch
    from accelerate.state import AcceleratorState

    _, queries, corpus, asked = data
    (tmp_path / "judge").mkdir()
    judge = bert(tmp_path / "judge", "BertForSequenceClassification", num_labels=1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        mine(tmp_path, corpus, asked, miner)
        settings = Rescore(model=judge, depth=3, max_length=32)
        rescore(tmp_path / "candidates", corpus, asked, tmp_path / "rescored", settings)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert len(read_table(tmp_path / "rescored", CANDIDATES)) == len(queries)


def test_rescoring_orders_by_the_cross_encoders_score(data, miner, tmp_path):
    from sentence_transformers import CrossEncoder

    passages, queries, corpus, asked = data
    mine(tmp_path, corpus, asked, miner)
    (tmp_path / "judge").mkdir()
    judge = bert(tmp_path / "judge", "BertForSequenceClassification", num_labels=1)
    settings = Rescore(model=judge, depth=12, max_length=32)
    rescore(tmp_path / "candidates", corpus, asked, tmp_path / "rescored", settings)
    model = CrossEncoder(judge, max_length=32)
    texts = [f"{title} {text}".strip() for title, text in passages]

    def score(query, rows):
        return model.predict([(query, texts[row]) for row in rows])

    before = read_table(tmp_path / "candidates", CANDIDATES).to_pylist()
    for row, old in zip(read_table(tmp_path / "rescored", CANDIDATES).to_pylist(), before, strict=True):
        text, positives = queries[row["query"]]
        others = [p for p in old["candidates"] if p not in positives][:12]
        assert set(row["candidates"]) == {*others, *positives}
        assert row["scores"] == sorted(row["scores"], reverse=True)
        np.testing.assert_allclose(
            row["scores"], model.predict([(text, texts[p]) for p in row["candidates"]]), atol=1e-4
        )
        np.testing.assert_allclose(
            row["positive_scores"], model.predict([(text, texts[p]) for p in positives]), atol=1e-4
        )


def test_a_cross_encoders_sigmoid_may_be_left_out(data, miner, tmp_path):
    """Its scores are then those of the last layer, which a training may distil."""
    _, _, corpus, asked = data
    mine(tmp_path, corpus, asked, miner)
    (tmp_path / "judge").mkdir()
    judge = bert(tmp_path / "judge", "BertForSequenceClassification", num_labels=1)
    found = {}
    for activation in ("own", "none"):
        settings = Rescore(model=judge, depth=4, max_length=32, activation=activation)
        rescore(tmp_path / "candidates", corpus, asked, tmp_path / activation, settings)
        found[activation] = read_table(tmp_path / activation, CANDIDATES)
    for column in ("scores", "positive_scores"):
        own, raw = (np.concatenate(found[kind][column].to_pylist()) for kind in ("own", "none"))
        np.testing.assert_allclose(own, 1 / (1 + np.exp(-raw)), atol=1e-5)
    assert raw.min() < 0 or raw.max() > 1
