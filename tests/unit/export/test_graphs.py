"""A network as ONNX and OpenVINO, where their packages are installed, and what is said where they are not."""

import shutil

import pytest
from tinymodels import save_words

from tdro.errors import UserError
from tdro.export import graphs, needs
from tdro.export.checks import compare
from tdro.export.texts import embed, texts_for
from tdro.models.load import load_trained


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_graphs_give_what_the_model_gives(kind, request, tmp_path):
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    folder = tmp_path / "exported"
    shutil.copytree(request.getfixturevalue(kind), folder)
    model = load_trained(folder)
    texts = texts_for(model)
    expected = embed(model, texts)
    graphs.write_onnx(model, folder)
    found = embed(graphs.open_onnx(folder), texts)
    assert compare("onnx", graphs.ONNX_FILE, expected, found).lowest > 0.99999
    pytest.importorskip("openvino")
    graphs.write_openvino(model, folder)
    found = embed(graphs.open_openvino(folder), texts)
    assert compare("openvino", graphs.OPENVINO_FILE, expected, found).lowest > 0.99999


def test_quantised_weights_are_smaller_and_close(encoder, tmp_path):
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    folder = tmp_path / "exported"
    shutil.copytree(encoder, folder)
    model = load_trained(folder)
    texts = texts_for(model)
    graphs.write_onnx_int8(model, folder)
    assert [path.name for path in (folder / "onnx").iterdir()] == ["model_quantized.onnx"]
    found = embed(graphs.open_onnx(folder, graphs.ONNX_INT8_FILE), texts)
    assert 0.95 < compare("onnx-int8", graphs.ONNX_INT8_FILE, embed(model, texts), found).mean < 0.9999999


def test_weights_beside_a_large_graph_have_the_name_that_is_looked_for(encoder, tmp_path, monkeypatch):
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    monkeypatch.setattr(graphs, "_LARGEST", 0)
    folder = tmp_path / "exported"
    shutil.copytree(encoder, folder)
    model = load_trained(folder)
    graphs.write_onnx(model, folder)
    assert sorted(path.name for path in (folder / "onnx").iterdir()) == ["model.onnx", "model.onnx_data"]
    texts = texts_for(model)
    assert compare("onnx", "f", embed(model, texts), embed(graphs.open_onnx(folder), texts)).lowest > 0.99999


@pytest.mark.parametrize(
    ("write", "extra"),
    [(graphs.write_onnx, "onnx"), (graphs.write_onnx_int8, "onnx"), (graphs.write_openvino, "openvino")],
)
def test_a_missing_package_is_one_sentence(write, extra, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(needs, "find_spec", lambda module: None)
    with pytest.raises(UserError, match=rf"this needs the module .* pip install 'tdro\[{extra}\]'"):
        write(load_trained(encoder), tmp_path)


def test_a_static_embedding_has_no_graph(tmp_path, monkeypatch):
    monkeypatch.setattr(needs, "find_spec", lambda module: True)
    model = load_trained(save_words(tmp_path / "words", {"red": [1.0, 0.0], "blue": [0.0, 1.0]}))
    with pytest.raises(UserError, match="a static embedding has no network"):
        graphs.write_onnx(model, tmp_path)
