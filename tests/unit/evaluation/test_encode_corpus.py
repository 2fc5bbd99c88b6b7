import subprocess
import sys
from pathlib import Path

import pytest
from testsets import ENCODING, encoded, one_hot, planted, random_dataset, run, save_dataset, scores_of
from tinymodels import save_words

from tdro.errors import UserError
from tdro.evaluation.evaluate import evaluate
from tdro.retrieval.encoder import Encoder


def test_embeddings_made_once_give_the_same_scores(tmp_path, monkeypatch):
    from tdro.evaluation import encode_corpus
    from tdro.retrieval import shards

    monkeypatch.setattr(encode_corpus, "SHARD", 40)
    monkeypatch.setattr(shards, "BLOCK_BYTES", 64 * 4 * 16)
    model, dataset, *_ = random_dataset(tmp_path)
    expected = run(tmp_path, model, {"random": dataset})
    folder = encoded(tmp_path, model, dataset)
    assert len(list(folder.glob("*.npy"))) == 4
    monkeypatch.setattr(Encoder, "passages", None)  # nothing is encoded again
    stored = dataset.model_copy(update={"embeddings": str(folder)})
    evaluate(model, {"b": {"random": stored}}, ENCODING, tmp_path / "stored")
    found = scores_of(tmp_path / "stored")["datasets"]["random"]
    assert found == pytest.approx(expected[0]["datasets"]["random"], abs=1e-4)


def test_a_killed_encoding_goes_on_with_the_missing_shards(tmp_path, monkeypatch):
    from tdro.evaluation import encode_corpus

    monkeypatch.setattr(encode_corpus, "SHARD", 40)
    model, dataset, *_ = random_dataset(tmp_path)
    whole = encoded(tmp_path, model, dataset, "whole")
    encode, read = Encoder.passages, []

    def counted(self, texts):
        if len(read) == 2:
            raise KeyboardInterrupt
        read.append(len(texts))
        return encode(self, texts)

    monkeypatch.setattr(Encoder, "passages", counted)
    with pytest.raises(KeyboardInterrupt):
        encoded(tmp_path, model, dataset)
    assert not (tmp_path / "embeddings").exists()
    read.clear()
    folder = encoded(tmp_path, model, dataset)
    assert read == [40, 30]
    for shard in whole.glob("*.npy"):
        assert (folder / shard.name).read_bytes() == shard.read_bytes()


def test_embeddings_of_another_corpus_are_refused(tmp_path):
    model, dataset = planted(tmp_path)
    folder = encoded(tmp_path, model, save_dataset(tmp_path / "other", ["t0", "t1"], ["t0"], [[0]]))
    dataset = dataset.model_copy(update={"embeddings": str(folder)})
    with pytest.raises(UserError, match="2 embeddings for the 30 passages"):
        evaluate(model, {"b": {"d": dataset}}, ENCODING, tmp_path / "out")


def test_two_processes_make_the_shards_of_one(tmp_path):
    from tdro.evaluation.encode_corpus import SHARD

    count = 2 * SHARD + 10
    model = save_words(tmp_path / "model", one_hot(9))
    dataset = save_dataset(tmp_path / "ds", [f"t{i % 9}" for i in range(count)], ["t0"], [[0]])
    alone = encoded(tmp_path, model, dataset)
    command = [str(Path(sys.executable).with_name("accelerate")), "launch", "--num_processes", "2", "--config_file"]
    command += [str(Path(__file__).parents[3] / "config/accelerate/ddp.yaml"), "-m", "tdro", "encode-corpus"]
    command += ["--model", str(model), "--corpus", dataset.corpus, "--output", str(tmp_path / "two")]
    command += ["--checkpoints", str(tmp_path / "work"), "--settings", "encoding: {precision: fp32}"]
    subprocess.run(command, check=True, capture_output=True)
    assert sorted(path.name for path in (tmp_path / "two").glob("*.npy")) == ["00000.npy", "00001.npy", "00002.npy"]
    for shard in alone.glob("*.npy"):
        assert (tmp_path / "two" / shard.name).read_bytes() == shard.read_bytes()
