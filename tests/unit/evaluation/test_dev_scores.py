import numpy as np
import pyarrow as pa
import pytest
import torch
from devsets import PLANE, dataset
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from tinymodels import save_words
from trainings import ENCODING, TASKS, save_untrained

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import DEV_SCORES
from tdro.config.commands import DevScoresJob
from tdro.config.prompts import TaskPrompts
from tdro.errors import UserError
from tdro.evaluation.dev_scores import dev_scores, means, read_dev_sets, score
from tdro.models.load import load_trained
from tdro.retrieval.encoder import Encoder
from tdro.training.losses import own_negatives_loss


@pytest.fixture
def plane(tmp_path):
    """What embeds the words of a plane, and the datasets that it is asked for."""
    from sentence_transformers import SentenceTransformer

    folder = save_words(tmp_path / "words", {word: np.array(vector, float) for word, vector in PLANE.items()})
    return Encoder(SentenceTransformer(str(folder), device="cpu"), "", "")


def test_loss_and_rank_are_those_of_arithmetic_by_hand(plane, tmp_path):
    found = dataset(tmp_path / "a", ["east", "north"], list(PLANE), [[3, 1, 2], [3, 4, 0, 2]])
    table = score(plane, TaskPrompts(), read_dev_sets({"a": found}), 0.5)
    root = 2**-0.5
    first = -np.log(np.exp(2 * root) / (np.exp(2 * root) + np.exp(0) + np.exp(-2)))
    second = -np.log(np.exp(2 * root) / (2 * np.exp(2 * root) + 2 * np.exp(0)))
    assert table.schema == DEV_SCORES
    assert table["dataset"].to_pylist() == ["a", "a"]
    assert table["query"].to_pylist() == [1, 2]
    assert table["loss"].to_pylist() == pytest.approx([first, second], abs=1e-6)
    assert table["reciprocal_rank"].to_pylist() == [1, 0.5]  # what scores the same stands before it
    assert means(table) == {"a": (pytest.approx((first + second) / 2, abs=1e-6), 0.75)}


def test_the_loss_is_that_of_sentence_transformers_and_of_tdro_itself(project, tmp_path, monkeypatch, caplog):
    """A trained model's folder, with the prompts that it reads each dataset with."""
    folder = project.folder / "model"
    save_untrained(project.model, ENCODING, folder)
    rng, words = np.random.default_rng(0), ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"]
    texts = [" ".join(rng.permutation(words)[: rng.integers(2, 6)]) + f" {n}" for n in range(30)]
    lists = [rng.permutation(24)[:6].tolist() for _ in range(6)]
    datasets = {
        name: dataset(tmp_path / name, texts[24:], texts[:24], lists, **TASKS[name].model_dump()) for name in TASKS
    }
    job = DevScoresJob(datasets=datasets, encoding=ENCODING, temperature=0.05)
    monkeypatch.setattr("tdro.progress.FIRST", 0)
    with caplog.at_level("INFO", "tdro"):
        dev_scores(folder, job, tmp_path / "scores.parquet")
    assert any(" of 48 texts, " in line and line.endswith(" s left") for line in caplog.messages)
    table = read_table(tmp_path / "scores.parquet", DEV_SCORES).to_pandas()
    assert table["dataset"].tolist() == ["plain"] * 6 + ["twin"] * 6

    model = load_trained(folder)
    for name, losses in table.groupby("dataset")["loss"]:
        prompt = f"Instruct: {TASKS[name].instruction[0]}\nQuery: "
        encode = {"convert_to_tensor": True, "normalize_embeddings": True}
        queries = model.encode(texts[24:], prompt=prompt, **encode)
        passages = model.encode(texts[:24], prompt=prompt if TASKS[name].symmetric else "", **encode)
        peer = MultipleNegativesRankingLoss(model, scale=1 / 0.05)
        for place, row in enumerate(lists):
            columns = [queries[place : place + 1], *passages[row].unsqueeze(1)]
            expected = peer.compute_loss_from_embeddings(columns, None).item()
            assert losses.iloc[place] == pytest.approx(expected, abs=2e-4)
        ours = own_negatives_loss(queries, torch.stack([passages[row] for row in lists]), 0.05)
        assert losses.tolist() == pytest.approx(ours.tolist(), abs=2e-4)


def test_texts_that_are_gone_are_named(tmp_path):
    found = dataset(tmp_path / "a", ["east"], list(PLANE), [[3, 9]])
    with pytest.raises(UserError, match=r"dev\.parquet names passages that .*corpus\.parquet lacks; delete it"):
        read_dev_sets({"a": found})


def test_of_nothing_there_is_an_empty_table(plane):
    assert score(plane, TaskPrompts(), [], 0.5).equals(pa.table({n: [] for n in DEV_SCORES.names}, schema=DEV_SCORES))
