"""Broken model folders, told by their first bytes."""

import json
import shutil

import pytest
from ours import turn

from tdro.artifacts.sums import write_sums
from tdro.errors import UserError
from tdro.models.load import load_embedder
from tdro.models.modelfiles import check_model_folder

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.fixture
def folder(tiny_base, tmp_path):
    return shutil.copytree(tiny_base, tmp_path / "base")


def refused(folder, *words):
    with pytest.raises(UserError) as caught:
        check_model_folder(str(folder))
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("how", ["pointer", "empty", "cut"])
def test_a_file_that_is_not_whole_is_named(folder, name, how):
    file = folder / name
    whole = file.read_bytes()
    file.write_bytes({"pointer": POINTER.encode(), "empty": b"", "cut": whole[: len(whole) // 2]}[how])
    refused(folder, str(file), {"pointer": "Git LFS pointer", "empty": "it is empty", "cut": ""}[how])


def test_whole_folders_and_what_is_no_folder_pass(folder, tmp_path):
    from safetensors import safe_open

    check_model_folder(str(folder))
    check_model_folder("BAAI/bge-base-en-v1.5")
    check_model_folder("package:name==1.0/model")
    with safe_open(folder / "model.safetensors", "np"):  # safetensors reads the same file
        pass


@pytest.mark.parametrize("left", [0, 3, 8, 100, -1])
def test_safetensors_refuses_the_same_lengths(folder, left):
    from safetensors import SafetensorError, safe_open

    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises((SafetensorError, OSError, ValueError)), safe_open(file, "np"):
        pass
    refused(folder, "model.safetensors")


def test_every_shard_is_looked_at(tiny_base, tmp_path):
    from transformers import AutoModel

    AutoModel.from_pretrained(tiny_base).save_pretrained(tmp_path, max_shard_size="50KB")
    check_model_folder(str(tmp_path))
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert len(shards) > 1
    whole = shards[1].read_bytes()
    shards[1].write_bytes(whole[:-1])
    refused(tmp_path, shards[1].name, f"has {len(whole) - 1} bytes, its header states {len(whole)}")
    shards[1].unlink()
    refused(tmp_path, "index.json", shards[1].name)


def test_every_module_of_a_sentence_transformer_is_looked_at(folder):
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    for name in ("1_Pooling", "2_Dense"):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text("{}")
    refused(folder, "2_Dense", "no weights")
    (folder / "2_Dense" / "model.safetensors").write_text(POINTER)
    refused(folder, "2_Dense", "Git LFS pointer")
    shutil.copy(folder / "model.safetensors", folder / "2_Dense")
    check_model_folder(str(folder))
    (folder / "1_Pooling" / "config.json").write_text("{")
    refused(folder, "1_Pooling", "cut off or no JSON")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "\ud800", "../elsewhere", "1_Pooling/../../elsewhere", "/etc"])
@pytest.mark.parametrize("file", ["modules.json", "model.safetensors.index.json"])
def test_a_name_that_leads_out_or_that_no_file_has_is_refused(folder, name, file):
    modules = [{"idx": 0, "name": "0", "path": name, "type": "sentence_transformers.models.Pooling"}]
    content = modules if file == "modules.json" else {"weight_map": {"embeddings": name}}
    (folder / file).write_text(json.dumps(content))
    refused(folder, file, "names", "get the file anew")


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, "no weights")


def test_pickled_weights_are_refused_with_the_way_to_safetensors(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, "pytorch_model.bin", "pickled weights", "can run code", "save_pretrained")
    (folder / "pytorch_model.bin").rename(folder / "model.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"whatever lies beside safetensors is not read")
    check_model_folder(str(folder))


def test_code_of_a_model_is_not_run(folder, tmp_path):
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'touched')!r}, 'w')\nclass Module: pass\n")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "evil.Module"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    refused(folder, "modules.json", "code of the model's own (evil.Module)", "does not run")
    with pytest.raises(UserError, match="code of the model's own"):
        load_embedder(str(folder), None, 16)
    assert not (tmp_path / "touched").exists()


def test_a_link_that_leads_nowhere_is_named(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(folder / "blobs" / "gone")
    refused(folder, "model.safetensors", "leads nowhere")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "checksums.json"])
def test_a_model_that_was_written_here_is_verified(folder, name):
    write_sums(folder)
    check_model_folder(str(folder))
    turn(folder / name, (folder / name).stat().st_size // 2)
    with pytest.raises(UserError, match=rf"{name}.*"):
        check_model_folder(str(folder))
    if name == "model.safetensors":
        refused(folder, "is damaged", f"Delete {folder} and get the model anew", "delete", "checksums.json")
