"""The mean embedding of each task, against numpy, over several shards and blocks."""

import numpy as np
import polars as pl
import pytest
from minings import made_embeddings

from tdro.errors import UserError
from tdro.mining.task_means import task_means


def write(folder, queries, passages, dimension=8):
    rng = np.random.default_rng(queries)
    made = [rng.normal(size=(rows, dimension)).astype(np.float16) for rows in (queries, passages)]
    for side, vectors in zip(("queries", "corpus"), made, strict=True):
        made_embeddings(folder / "embeddings" / side, vectors)
    return made


def test_means_of_queries_and_passages_count_half_each(tmp_path, monkeypatch):
    monkeypatch.setattr("tdro.retrieval.shards.BLOCK_BYTES", 4 * 8 * 50)  # blocks of 50 rows, shards of 64
    expected = {name: write(tmp_path / name, *rows) for name, rows in {"faq": (3, 200), "code": (130, 64)}.items()}
    task_means([tmp_path / "faq", tmp_path / "code"], tmp_path / "means.parquet")
    found = pl.read_parquet(tmp_path / "means.parquet")
    assert found["task"].to_list() == ["faq", "code"]
    for task, mean in found.iter_rows():
        queries, passages = (side.astype(np.float64).mean(axis=0) for side in expected[task])
        np.testing.assert_allclose(mean, (queries + passages) / 2, rtol=1e-6)


def test_embeddings_of_two_miners_are_refused(tmp_path):
    write(tmp_path / "faq", 3, 4), write(tmp_path / "code", 3, 4, dimension=6)
    with pytest.raises(UserError, match="the embeddings of faq, code have different dimensions"):
        task_means([tmp_path / "faq", tmp_path / "code"], tmp_path / "means.parquet")
    assert not (tmp_path / "means.parquet").exists()
