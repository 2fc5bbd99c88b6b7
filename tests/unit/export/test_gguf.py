"""What the converter is shown, and what its file is given; llama.cpp itself reads it where it is installed."""

import json
import shutil

import pytest

from tdro.errors import UserError
from tdro.export import needs
from tdro.export.gguf import embed_gguf, write_gguf
from tdro.export.texts import texts_for
from tdro.models.load import load_trained

gguf = pytest.importorskip("gguf")

#: Stands for llama.cpp's converter: writes a file that says what it was shown.
CONVERTER = """
import argparse, json, pathlib
import gguf, numpy, transformers
parser = argparse.ArgumentParser()
for option in ("--outtype", "--outfile"):
    parser.add_argument(option)
parser.add_argument("folder")
asked = parser.parse_args()
tokenizer = transformers.AutoTokenizer.from_pretrained(asked.folder)
writer = gguf.GGUFWriter(asked.outfile, arch="llama")
writer.add_string("shown.tokens", json.dumps(tokenizer("alpha")["input_ids"]))
writer.add_string("shown.type", asked.outtype)
writer.add_string("shown.files", " ".join(sorted(path.name for path in pathlib.Path(asked.folder).iterdir())))
writer.add_add_eos_token(False)
writer.add_tensor("token_embd.weight", numpy.arange(6, dtype=numpy.float32).reshape(2, 3))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
"""


@pytest.fixture
def converter(tmp_path, monkeypatch):
    monkeypatch.setattr(needs, "find_spec", lambda module: True)
    (tmp_path / "convert.py").write_text(CONVERTER)
    return str(tmp_path / "convert.py")


def values(file):
    return {name: field.contents() for name, field in gguf.GGUFReader(file).fields.items()}


def test_eos_and_pooling_are_said_in_the_file(decoder, converter, tmp_path):
    model = load_trained(decoder)
    write_gguf(model, decoder, tmp_path / "m.gguf", "gguf", converter)
    found = values(tmp_path / "m.gguf")
    assert found["llama.pooling_type"] == 3
    assert found["tokenizer.ggml.add_eos_token"] is True
    assert found["shown.type"] == "f16"
    whole = model.tokenizer("alpha")["input_ids"]
    assert whole[-1] == model.tokenizer.eos_token_id
    assert json.loads(found["shown.tokens"]) == whole[:-1]
    assert [tensor.data.tolist() for tensor in gguf.GGUFReader(tmp_path / "m.gguf").tensors] == [[[0, 1, 2], [3, 4, 5]]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["convert.py", "m.gguf"]


def test_the_file_may_lie_in_the_folder_that_is_converted(decoder, converter, tmp_path):
    folder = tmp_path / "exported"
    shutil.copytree(decoder, folder)
    (folder / "onnx").mkdir()
    for kind in ("gguf", "gguf-q8_0"):
        write_gguf(load_trained(folder), folder, folder / f"{kind}.gguf", kind, converter)
    shown = values(folder / "gguf-q8_0.gguf")["shown.files"].split()
    assert {"config.json", "modules.json", "tokenizer.json"} <= set(shown)
    assert not [name for name in shown if name.startswith(".") or name in ("gguf.gguf", "onnx")]
    kept = {path.name for path in decoder.iterdir()}
    assert {path.name for path in folder.iterdir()} == kept | {"onnx", "gguf.gguf", "gguf-q8_0.gguf"}


def test_a_tokenizer_of_word_pieces_stays_as_it_is(encoder, converter, tmp_path):
    model = load_trained(encoder)
    write_gguf(model, encoder, tmp_path / "m.gguf", "gguf-q8_0", converter)
    found = values(tmp_path / "m.gguf")
    assert found["llama.pooling_type"] == 1
    assert found["tokenizer.ggml.add_eos_token"] is False
    assert found["shown.type"] == "q8_0"
    assert json.loads(found["shown.tokens"]) == model.tokenizer("alpha")["input_ids"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("raise SystemExit('no such architecture')", r"cannot convert this model \(no such architecture\)"),
        ("", r"cannot convert this model \(it said nothing\)"),
    ],
)
def test_a_converter_that_fails_is_one_sentence(script, message, decoder, converter, tmp_path):
    (tmp_path / "convert.py").write_text(script)
    with pytest.raises(UserError, match=message):
        write_gguf(load_trained(decoder), decoder, tmp_path / "m.gguf", "gguf", converter)
    assert [path.name for path in tmp_path.iterdir()] == ["convert.py"]


def test_a_missing_converter_is_one_sentence(decoder, converter, tmp_path):
    with pytest.raises(UserError, match="there is no converter 'no-such-command': pip install"):
        write_gguf(load_trained(decoder), decoder, tmp_path / "m.gguf", "gguf", "no-such-command")


#: Stands for llama.cpp: a text's vector holds its length and the room that there is for it.
LLAMA = """
class Llama:
    def __init__(self, file, *, n_ctx, n_batch, **others):
        self.room = n_batch
    def embed(self, text, normalize):
        {body}
        return [float(len(text)), float(self.room)]
"""


@pytest.fixture
def llama(tmp_path, monkeypatch):
    """Puts a module in the place of llama.cpp's, in processes that are started from now on."""
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    (tmp_path / "modules").mkdir()
    return lambda body: (tmp_path / "modules" / "llama_cpp.py").write_text(LLAMA.format(body=body))


def test_texts_are_embedded_with_their_prompts_in_rooms_that_llama_can_pool_by_the_mean(decoder, llama, tmp_path):
    llama("pass")
    model = load_trained(decoder)
    texts = texts_for(model)
    found = embed_gguf(tmp_path / "m.gguf", model, texts)
    assert found[:, 0].tolist() == [len(text.prompt + text.text) for text in texts]
    assert set(found[:, 1].tolist()) == {256.0}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import os; os.abort()", r"cannot embed by m.gguf \(it aborted\)"),
        ("raise ValueError('no such file')", r"cannot embed by m.gguf \(no such file\)"),
    ],
)
def test_a_crash_of_llama_is_one_sentence(body, message, decoder, llama, tmp_path):
    llama(body)
    model = load_trained(decoder)
    with pytest.raises(UserError, match=message):
        embed_gguf(tmp_path / "m.gguf", model, texts_for(model))
