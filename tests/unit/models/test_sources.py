import zipfile

import numpy as np
import pytest
from basemodels import TEXTS, check_saved, load, save_embedder, train
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

from tdro.config.models import Model
from tdro.errors import UserError
from tdro.models.kinds import is_embedder
from tdro.models.sources import resolve


def test_missing_models_are_named(tmp_path):
    with pytest.raises(UserError, match="holds no model"):
        resolve(str(tmp_path))
    with pytest.raises(UserError, match="names no file"):
        resolve("package:name==1.0")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(UserError, match="has no weights"):
        load(tmp_path)
    assert resolve("BAAI/bge-base-en-v1.5") == "BAAI/bge-base-en-v1.5"


def test_a_base_is_distilled_into_a_static_embedding_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path / "cache"))
    base = save_embedder("bert", tmp_path / "base", Normalize())
    first = load(base, static=8)
    assert isinstance(first[0], StaticEmbedding)
    assert first.get_embedding_dimension() == 8
    assert is_embedder(Model(name="m", base=str(base), static=8))
    monkeypatch.setattr(StaticEmbedding, "from_distillation", None)  # a second time would need it
    np.testing.assert_array_equal(load(base, static=8).encode(TEXTS), first.encode(TEXTS))
    check_saved(train(first), tmp_path / "model")


@pytest.mark.parametrize(
    "content", [b"version https://git-lfs.github.com/spec/v1\n", b"", b"PK", b"GGUF\x03\0\0\0\x07", b"GGUF"]
)
def test_a_gguf_file_of_a_package_that_cannot_be_read_is_a_sentence(content, tmp_path, monkeypatch):
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path / "cache"))
    archive = tmp_path / "cache" / "packages" / "tiny-1.0-py3-none-any.whl"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("tiny/model.gguf", content)
    with pytest.raises(UserError, match=r"model\.gguf can") as caught:
        load("package:tiny==1.0/tiny/model.gguf")
    assert "\n" not in str(caught.value)
