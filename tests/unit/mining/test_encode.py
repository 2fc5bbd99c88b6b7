"""Embeddings of tasks, on a miner with random weights."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from minings import embed, encoded, shards, true_scores, write_data
from tinymodels import WORDS, save_words
from waits import waiting

from tdro.config.commands import EvalDataset, Miner
from tdro.config.mining import Encode
from tdro.config.models import Encoding
from tdro.errors import UserError
from tdro.mining import encode as encode_stage
from tdro.mining.encode import encode, open_miner
from tdro.progress import Progress
from tdro.retrieval.shards import Embeddings, Workspace


@pytest.mark.parametrize("form", ["padded", "in a row", "in a bag"])
def test_a_miner_may_tokenise_texts_in_any_form(form, miner, tmp_path, monkeypatch):
    """Attention over padded texts, flash attention, which pads nothing, and static embeddings."""
    from flattening import flatten, pretend_flash_attention
    from sentence_transformers import SentenceTransformer

    if form == "in a bag":
        miner = str(static_model(tmp_path))
    encoder = open_miner(Encode(model=miner, max_length=8, batch_size=4))
    if form == "in a row":
        pretend_flash_attention(monkeypatch)
        flatten(encoder.model)
    texts = [" ".join(WORDS[i : i + 1 + i % 5]) for i in range(10)]
    found, counts = encoder.by_tokens(texts, "query", Progress("encoded", "texts", len(texts)))
    expected = SentenceTransformer(miner, device="cpu")
    if form != "in a bag":
        expected.max_seq_length = 8
    np.testing.assert_allclose(found, expected.encode(texts, normalize_embeddings=True), atol=2e-2)
    assert counts["tokens"] == sum(len(text.split()) for text in texts) + (0 if form == "in a bag" else 2 * len(texts))
    assert (counts["padded"] > counts["tokens"]) == (form == "padded")


def static_model(folder):
    """A static embedding: a vector a word, and no attention."""
    return save_words(folder, dict(zip(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), 8)), strict=True)))


@pytest.mark.parametrize("size", [7, 50, 16_384])
def test_shards_hold_what_sentence_transformers_computes(data, miner, tmp_path, size):
    passages, queries, corpus, asked = data
    folder = encoded(tmp_path, corpus, asked, model=miner, prompts={"query": "the "}, shard_size=size, batch_size=5)
    found = Embeddings(folder / "corpus")
    texts = [f"{title} {text}".strip() for title, text in passages]
    expected = embed(miner, texts)
    np.testing.assert_allclose(found.slice(0, len(found)), expected, atol=1e-3)
    rows = np.array([119, 3, 3, 60])
    np.testing.assert_allclose(found.take(rows), expected[rows], atol=1e-3)
    own = Embeddings(folder / "queries").slice(0, len(queries))
    np.testing.assert_allclose(own, embed(miner, [f"the {text}" for text, _ in queries]), atol=1e-3)
    np.testing.assert_allclose(
        own @ found.slice(0, len(found)).T, true_scores(miner, passages, queries, "the "), atol=1e-3
    )
    assert not any((tmp_path / "checkpoints").iterdir())


def test_padding_is_below_five_per_cent_of_the_tokens(miner, tmp_path):
    rng = np.random.default_rng(0)
    texts = [("", " ".join(rng.choice(WORDS, int(n)))) for n in np.clip(rng.lognormal(2, 0.7, 3000), 1, 28)]
    corpus, asked = write_data(tmp_path, texts, [(text, [i]) for i, (_, text) in enumerate(texts[:10])])
    folder = encoded(tmp_path, corpus, asked, model=miner, batch_size=32)
    manifest = Embeddings(folder / "corpus").manifest
    assert manifest["padding"] < 0.05
    assert manifest["tokens"] == sum(len(text.split()) + 2 for _, text in texts)


def launch(folder, settings, *launcher, tasks=None, **environment):
    """`tdro encode` as a process of its own, or several under a launcher; in the folder or for several tasks of it."""
    options = [*map(str, tasks or [folder]), "--checkpoints", str(folder / "checkpoints")]
    command = [*(launcher or [sys.executable]), "-m", "tdro", "encode", *options, "--threads", "1"]
    with (folder / "log").open("w") as log:
        command += ["--settings", json.dumps(settings)]
        return subprocess.Popen(command, stderr=log, stdout=log, env=os.environ | environment)


def test_a_killed_run_goes_on_without_redoing_finished_shards(miner, tmp_path):
    rng = np.random.default_rng(0)
    passages = [("", " ".join(rng.choice(WORDS, 20))) for _ in range(600)]
    write_data(tmp_path, passages, [("red", [0])])
    settings = {"model": miner, "shard_size": 100, "batch_size": 2}
    process = launch(tmp_path, settings, **waiting(tmp_path / "w", "tdro.retrieval.encoder:Encoder.by_tokens", 4))
    while not (tmp_path / "w/waits-1").exists():
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {
        p.name: p.stat().st_mtime_ns for p in (tmp_path / "checkpoints" / tmp_path.name / "corpus").glob("0*.npy")
    }
    assert len(finished) == 3
    assert not (tmp_path / "embeddings").exists()
    assert launch(tmp_path, settings | {"batch_size": 50}).wait() == 0, (tmp_path / "log").read_text()
    assert f"{len(finished)} of 7 shards are there" in (tmp_path / "log").read_text()
    assert {name: (tmp_path / "embeddings/corpus" / name).stat().st_mtime_ns for name in finished} == finished
    assert len(Embeddings(tmp_path / "embeddings/corpus")) == 600


def test_two_processes_make_the_shards_of_one(data, miner, tmp_path):
    passages, queries, *_ = data
    settings = {"model": miner, "shard_size": 25, "batch_size": 8}
    results = []
    accelerate = [str(Path(sys.executable).with_name("accelerate")), "launch", "--config_file"]
    accelerate += [str(Path(__file__).parents[3] / "config/accelerate/ddp.yaml")]
    for processes in ("1", "2"):
        folder = tmp_path / processes
        folder.mkdir()
        write_data(folder, passages, queries)
        status = launch(folder, settings, *accelerate, "--num_processes", processes).wait()
        assert status == 0, (folder / "log").read_text()
        results.append(shards(folder / "embeddings"))
    assert results[0] == results[1]
    assert len(results[0]) == 6


@pytest.fixture
def tasks(miner, tmp_path):
    """Three small tasks, each in a folder of its own."""
    rng = np.random.default_rng(1)
    folders = []
    for name, number in (("one", 9), ("two", 14), ("three", 5)):
        passages = [("", " ".join(rng.choice(WORDS, 6))) for _ in range(number)]
        folders.append(tmp_path / "together" / name)
        write_data(folders[-1], passages, [("red", [0]), ("cat", [1])])
    return folders


def test_several_tasks_get_what_each_gets_alone_from_one_load_of_the_miner(tasks, miner, tmp_path, monkeypatch):
    settings = Encode(model=miner, shard_size=4, batch_size=3)
    alone = []
    for folder in tasks:
        encode([folder], tmp_path / "c", settings)
        alone.append(shards(folder / "embeddings"))
        shutil.rmtree(folder / "embeddings")
    loads, load = [], encode_stage.open_miner
    monkeypatch.setattr(encode_stage, "open_miner", lambda *arguments: loads.append(1) or load(*arguments))
    encode(tasks, tmp_path / "c", settings)
    assert [shards(folder / "embeddings") for folder in tasks] == alone
    assert len(loads) == 1
    assert not any((tmp_path / "c").iterdir())


def test_a_killed_run_of_several_tasks_keeps_the_shards_of_each(tasks, miner, tmp_path):
    settings = {"model": miner, "shard_size": 4, "batch_size": 3}  # shards: 3 + 1, 4 + 1, 2 + 1
    wait = waiting(tmp_path / "w", "tdro.retrieval.encoder:Encoder.by_tokens", 7)
    process = launch(tmp_path, settings, tasks=tasks, **wait)
    while not (tmp_path / "w/waits-1").exists():
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not any((folder / "embeddings").exists() for folder in tasks)
    assert launch(tmp_path, settings, tasks=tasks).wait() == 0, (tmp_path / "log").read_text()
    said = (tmp_path / "log").read_text()
    assert "6 of 12 shards are there" in said
    # Snakemake removes what a failed job has made, so nothing is moved before all is there.
    assert "one/corpus written" not in said and "three/corpus written" in said
    assert [len(Embeddings(folder / "embeddings/corpus")) for folder in tasks] == [9, 14, 5]


def test_an_error_of_one_of_several_tasks_names_it_and_keeps_the_shards_of_the_others(tasks, tmp_path):
    from safetensors.numpy import load_file, save_file

    model = static_model(tmp_path / "model")
    [weights] = model.rglob("*.safetensors")
    values = load_file(weights)
    values["embedding.weight"][WORDS.index("river") + 1] = np.nan
    save_file(values, weights, metadata={"format": "pt"})
    write_data(tasks[1], [("", "red cat"), ("", "river")], [("red", [0])])
    for folder in (tasks[0], tasks[2]):
        write_data(folder, [("", "red cat")], [("red", [0])])
    settings = Encode(model=str(model))
    with pytest.raises(UserError, match=r"^two/corpus: .*not finite"):
        encode(tasks, tmp_path / "c", settings)
    assert (tmp_path / "c/one/corpus/00000.npy").is_file()
    write_data(tasks[1], [("", "cat")], [("red", [3])])
    with pytest.raises(UserError, match=r"two/queries\.parquet"):
        encode(tasks, tmp_path / "c", settings)


def test_two_folders_of_one_name_are_refused(miner, tmp_path):
    with pytest.raises(UserError, match="two of the folders are named 'same'"):
        encode([tmp_path / "a/same", tmp_path / "b/same"], tmp_path / "c", Encode(model=miner))


@pytest.mark.parametrize("stage", ["mining.encode", "evaluation.search_corpus"])
def test_shards_of_another_version_are_made_anew(data, miner, tmp_path, monkeypatch, caplog, stage):
    caplog.set_level("INFO", "tdro")
    module = importlib.import_module(f"tdro.{stage}")
    _, _, corpus, queries = data
    test = EvalDataset(corpus=str(corpus), queries=str(queries), instruction="Find it.")

    def run():
        if stage == "mining.encode":
            module.encode([tmp_path], tmp_path / "checkpoints", Encode(model=miner))
        else:
            whole, places = module.Portion(1, 1), (tmp_path / "1of1.parquet", tmp_path / "checkpoints")
            module.search_corpus(Miner(model=miner), Encoding(precision="fp32"), {"d": test}, whole, *places)

    version = module.of_stage
    with monkeypatch.context() as patch:
        patch.setattr(module, "of_stage", lambda name: version(name)._replace(libraries={"torch": "1.0.0"}))
        patch.setattr(Workspace, "publish" if stage == "mining.encode" else "remove", lambda *arguments: _stop())
        with pytest.raises(KeyboardInterrupt):
            run()
    run()
    assert any("belongs to a run with other libraries; starting afresh" in line for line in caplog.messages)


def _stop():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("passages", "queries", "message"),
    [
        ([], [("red", [0])], r"corpus\.parquet has no rows"),
        ([("", "cat")], [], r"queries\.parquet has no rows"),
        ([("", "cat")], [("red", [0]), ("blue", [])], r"query 'q1' of .* has no positive"),
        ([("", "cat")], [("red", [0, 3])], r"query 'q0' of .* has positive 3, but .* has rows 0 to 0"),
    ],
)
def test_unusable_data_is_refused_before_the_model_is_loaded(tmp_path, passages, queries, message):
    corpus, asked = write_data(tmp_path, passages, queries)
    with pytest.raises(UserError, match=message):
        encoded(tmp_path, corpus, asked, model="/nonexistent")


def test_a_miner_that_is_not_there_is_named(tmp_path):
    corpus, asked = write_data(tmp_path, [("", "cat")], [("red", [0])])
    with pytest.raises(UserError, match="nonexistent"):
        encoded(tmp_path, corpus, asked, model="/nonexistent")
