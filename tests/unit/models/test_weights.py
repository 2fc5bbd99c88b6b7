"""Models whose weights do not fit, cannot be read or read fewer tokens: base, miner, cross-encoder, trained model."""

import json
import shutil

import basemodels
import pytest
import torch
from safetensors.torch import load_file, save_file
from tinymodels import bert

from tdro.config.mining import Rescore
from tdro.config.models import Encoding, Lora, Model
from tdro.errors import UserError
from tdro.mining.rescore import _CrossEncoder
from tdro.models.bases import load_retriever
from tdro.models.load import load_embedder, load_trained
from tdro.models.networks import network_of
from tdro.models.weights import freeze_unused

ENCODING = Encoding(query_length=16, passage_length=48, precision="fp32")


def base(folder):
    return load_retriever(Model(name="tiny", base=str(folder)), ENCODING)


def miner(folder):
    return load_embedder(str(folder), None, 32)


def trained(folder):
    return load_trained(folder)


def rescorer(folder):
    return _CrossEncoder(Rescore(model=str(folder), max_length=32)).model


LOADERS = {"base": base, "miner": miner, "trained": trained, "rescorer": rescorer}
# A weight of each that decides what it computes.
DECIDING = {
    "base": "layers.1.mlp.up_proj.weight",
    "miner": "encoder.layer.1.output.dense.weight",
    "trained": "layers.1.mlp.up_proj.weight",
    "rescorer": "classifier.weight",
}


@pytest.fixture(scope="module")
def models(tiny_base, tmp_path_factory):
    """A whole model of each kind."""
    from sentence_transformers import SentenceTransformer

    root = tmp_path_factory.mktemp("models")
    shutil.copytree(tiny_base, root / "base")
    base(tiny_base).save_pretrained(str(root / "trained"))
    for name, kind, labels in (
        ("miner", "BertModel", {}),
        ("rescorer", "BertForSequenceClassification", {"num_labels": 1}),
    ):
        (root / f"{name}-parts").mkdir()
        bert(root / f"{name}-parts", kind, **labels)
    SentenceTransformer(str(root / "miner-parts" / "bert"), device="cpu").save_pretrained(str(root / "miner"))
    shutil.copytree(root / "rescorer-parts" / "bert", root / "rescorer")
    return root


@pytest.fixture(params=list(LOADERS))
def kind(request):
    return request.param


@pytest.fixture
def folder(models, kind, tmp_path):
    return shutil.copytree(models / kind, tmp_path / kind)


def edit(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def sentence(kind, folder):
    with pytest.raises(UserError) as caught:
        LOADERS[kind](folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_whole_models_load(kind, folder):
    LOADERS[kind](folder)


def test_a_weight_that_is_missing_is_named(kind, folder):
    name = DECIDING[kind]
    edit(folder, lambda weights: weights.pop(name))
    found = sentence(kind, folder)
    assert f"1 of its weights would be random numbers, such as {name} (not in the checkpoint)" in found
    assert str(folder) in found


def test_a_weight_of_another_name_is_missing(kind, folder):
    name = DECIDING[kind]
    edit(folder, lambda weights: weights.update({f"other.{name}": weights.pop(name)}))
    assert f"such as {name}" in sentence(kind, folder)


def test_a_weight_of_another_shape_is_named(kind, folder):
    name = DECIDING[kind]
    edit(folder, lambda weights: weights.update({name: torch.zeros(3, *weights[name].shape[1:])}))
    found = sentence(kind, folder)
    assert name in found
    assert "[3, " in found


def test_all_weights_of_another_model(kind, folder):
    edit(
        folder, lambda weights: [weights.update({f"x.{i}": weights.pop(name)}) for i, name in enumerate(list(weights))]
    )
    assert "would be random numbers" in sentence(kind, folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize(
    "content", [b"version https://git-lfs.github.com/spec/v1\n", b"", b'{"a": ', b"\xff\xfe\x00 x"]
)
def test_a_file_that_cannot_be_read_is_named(kind, folder, name, content):
    (folder / name).write_bytes(content)
    assert str(folder / name) in sentence(kind, folder)


def test_a_configuration_that_no_library_knows_is_a_sentence(kind, folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "nothing-known"}))
    assert "cannot be loaded" in sentence(kind, folder)
    (folder / "tokenizer.json").write_text("{}")
    sentence(kind, folder)


def test_weights_that_decide_nothing_may_be_missing(models, tmp_path):
    """BERT's pooler is none of an embedding's; a base's last layers are none where `layers` cuts them off."""
    folder = shutil.copytree(models / "miner", tmp_path / "miner")
    edit(folder, lambda weights: [weights.pop(name) for name in list(weights) if name.startswith("pooler")])
    miner(folder)
    folder = shutil.copytree(models / "base", tmp_path / "base")
    edit(folder, lambda weights: weights.pop("layers.1.mlp.up_proj.weight"))
    load_retriever(Model(name="tiny", base=str(folder), layers=1), ENCODING)
    with pytest.raises(UserError, match="would be random"):
        base(folder)


@pytest.mark.parametrize("tied", [True, False])
def test_the_checkpoint_of_a_language_model_is_a_base(tiny_base, tmp_path, tied):
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(tiny_base, tie_word_embeddings=tied)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    for file in tiny_base.glob("tokenizer*"):
        shutil.copy(file, tmp_path)
    base(tmp_path)


def test_a_base_that_reads_fewer_tokens_is_refused_before_it_stops_with_an_index_error(tmp_path):
    from tinymodels import byte_tokenizer
    from transformers import GPT2Config, GPT2Model

    tokenizer = byte_tokenizer()
    size = {"n_embd": 16, "n_layer": 1, "n_head": 2, "eos_token_id": 0, "bos_token_id": 0}
    GPT2Model(GPT2Config(vocab_size=len(tokenizer), n_positions=32, **size)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    found = sentence("base", tmp_path)
    assert "reads 32 tokens" in found
    assert "encoding.passage_length asks for 48" in found


def test_what_an_embedding_does_not_depend_on_is_not_trained(tmp_path):
    retriever = basemodels.load(basemodels.save_bare("bert", tmp_path / "base"))
    freeze_unused(network_of(retriever))
    frozen = {name for name, p in retriever.named_parameters() if not p.requires_grad}
    assert {name.rpartition("pooler")[2] for name in frozen} == {".dense.weight", ".dense.bias"}
    assert all(p.grad is None for p in retriever.parameters())


def test_lora_adapts_an_embedding_model_and_leaves_what_is_unused_alone(tmp_path):
    retriever = basemodels.load(basemodels.save_embedder("bert", tmp_path / "base"), lora=Lora(rank=2))
    basemodels.train(retriever)
    trained = {name for name, p in retriever.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora" in name and "pooler" not in name for name in trained)
