"""Files that older readers understand, and which mean the same to sentence-transformers."""

import json
import shutil

import numpy as np
import pytest

from tdro.export.served import write_for_servers
from tdro.export.texts import embed, texts_for
from tdro.models.load import load_trained


@pytest.fixture
def served(decoder, tmp_path):
    """The files of an exported decoder, by name."""
    shutil.copytree(decoder, tmp_path / "served")
    write_for_servers(tmp_path / "served", 64)
    return tmp_path / "served"


def read(folder, name):
    return json.loads((folder / name).read_text())


def test_the_words_that_servers_look_for_are_there(served):
    types = [module["type"] for module in read(served, "modules.json")]
    assert types == [f"sentence_transformers.models.{name}" for name in ("Transformer", "Pooling", "Normalize")]
    pooling = read(served, "1_Pooling/config.json")
    assert pooling["pooling_mode"] == "lasttoken"
    assert [name for name, value in pooling.items() if value is True and name != "include_prompt"] == [
        "pooling_mode_lasttoken"
    ]
    assert {"pooling_mode_cls_token", "pooling_mode_mean_tokens"} <= set(pooling)  # text-embeddings-inference
    assert pooling["word_embedding_dimension"] == 32
    assert read(served, "sentence_bert_config.json")["max_seq_length"] == 64
    assert read(served, "tokenizer_config.json")["tokenizer_class"] == "PreTrainedTokenizerFast"
    config = read(served, "config.json")
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]


def test_the_model_reads_them_alike(decoder, served):
    model, other = load_trained(decoder), load_trained(served)
    texts = texts_for(model)
    np.testing.assert_array_equal(embed(model, texts), embed(other, texts))
    assert other.prompts == model.prompts


def test_to_write_twice_changes_nothing(served):
    before = {file: file.read_bytes() for file in served.rglob("*.json")}
    write_for_servers(served, 64)
    assert {file: file.read_bytes() for file in served.rglob("*.json")} == before
