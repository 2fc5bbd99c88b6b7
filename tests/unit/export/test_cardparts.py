"""Licences, languages and datasets on the card, and mteb's own reading of the rest."""

import json
import shutil

import pytest
from huggingface_hub import ModelCard

from tdro.config.commands import ExportJob
from tdro.export.cardparts import describe_data, describe_formats, write_model_meta
from tdro.models.load import load_trained

TASKS = {
    "find": {"language": "en,de", "licence": "MIT", "mteb": ["NQ"], "hub": "org/find"},
    "twin": {"language": "zh", "mteb": []},
    "elsewhere": {"language": "fr", "licence": "CC0"},
}


@pytest.fixture
def folder(encoder, tmp_path):
    shutil.copytree(encoder, tmp_path / "m")
    return tmp_path / "m"


def job(**changes):
    return ExportJob(licence="apache-2.0", tasks={name: TASKS[name] | changes for name in TASKS})


def test_metadata_are_the_hubs(folder):
    describe_data(folder, job(), ["find", "twin"])
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "apache-2.0"
    assert card.data.language == ["de", "en", "zh"]
    assert card.data.datasets == ["org/find"]
    assert "| find | en,de | MIT | `org/find` | NQ |" in card.text
    assert "| twin | zh | not stated |  | none |" in card.text
    assert "The licence of twin is not stated" in card.text
    assert "elsewhere" not in card.text
    assert card.text.index("## Licences") < card.text.index("## How it was trained")


def test_what_is_not_known_is_not_said(folder):
    before = (folder / "README.md").read_text()
    describe_data(folder, ExportJob(), ["find"])
    assert ModelCard.load(folder / "README.md").text.split() == before.split("---\n", 2)[2].split()


def test_formats_and_small_embeddings_are_tables(folder):
    kinds = {"float32": 0.8, "int8": 0.79, "binary": 0.6, "binary_rescored": 0.7, "dimension": 8, "passages": 3}
    describe_formats(folder, {"onnx/model.onnx": ("onnx", 0.99999)}, {"faq": kinds})
    text = (folder / "README.md").read_text()
    assert "| `onnx/model.onnx` | onnx | 0.999990 |" in text
    assert "| faq | 0.800 | 0.790 | 0.600 | 0.700 |" in text


@pytest.mark.parametrize(("mteb", "contaminated"), [(["NQ"], {"NQ"}), ([], set()), (None, None)])
def test_mteb_reads_its_own_words(folder, mteb, contaminated):
    from mteb.models.model_meta import ModelMeta

    write_model_meta(folder, "org/mine", job(mteb=mteb), ["find", "twin"], load_trained(folder))
    meta = ModelMeta.model_validate(json.loads((folder / "mteb_model_meta.json").read_text()))
    assert meta.training_datasets == contaminated
    assert meta.languages == ["deu-Latn", "eng-Latn", "zho-Hans"]
    assert (meta.name, meta.license, meta.embed_dim, meta.max_tokens) == ("org/mine", "apache-2.0", 32, 64)
    assert meta.use_instructions is True
    assert meta.n_parameters == sum(p.numel() for p in load_trained(folder).parameters())
