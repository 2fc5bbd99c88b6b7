"""The files of a model folder, and whether they are whole, told in a second and without torch.

A clone without ``git lfs pull`` holds pointers of 130 bytes in place of the weights, a copy that broke off holds the
first part of a file. Both have the right names, so a run would find out only when it loads the model, maybe after hours
of mining. What the first bytes tell is read here: a safetensors file states in its header how long it is, JSON has an
end.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tdro.artifacts.foreign import read_foreign
from tdro.artifacts.makers import maker
from tdro.artifacts.seals import again
from tdro.artifacts.shapes import expecting, said
from tdro.artifacts.sums import CHECKSUMS, damage
from tdro.errors import UserError
from tdro.readers.fetch import PREFIX, is_local

_POINTER = b"version https://git-lfs"
_HEADER = 8  # bytes that state the length of a safetensors header
_LONGEST_HEADER = 100_000_000  # what safetensors itself reads at most
_JSON = (
    *("config.json", "modules.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.json", "sentence_bert_config.json", "config_sentence_transformers.json"),
    *("adapter_config.json", "*.index.json"),
)
_PLAIN = ("vocab.txt", "merges.txt", "*.model")
_WEIGHTS, _PICKLED = "*.safetensors", "*.bin"
# Where the classes of modules are, of which no other is loaded.
_LIBRARY = "sentence_transformers."
#: Modules of sentence-transformers that cannot be without weights.
_WEIGHTED = ("Transformer", "StaticEmbedding", "Dense")


def check_model_folder(reference: str) -> None:
    """Check the files of a model in a local folder; a hub id and a package's file are passed over.

    A model that was written here has checksums, which are compared: a gigabyte takes a third of a second.

    Args:
        reference: Hub id, local folder, or ``package:NAME==VERSION/PATH``.

    Raises:
        UserError: when the folder holds no model, or for the first of its files that is a pointer, empty or damaged.
    """
    if reference.startswith(PREFIX) or not is_local(reference):
        return
    folder = Path(reference).expanduser()
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise UserError(f"{reference} holds no model: expected a folder with config.json; correct the path.")
    for part, weighted in parts(folder):
        check_files(part)
        if weighted and not any(part.glob(_WEIGHTS)):
            raise UserError(f"{part} {_no_weights(part, folder)}")
    if (folder / CHECKSUMS).is_file() and (problem := damage(folder)):
        advice = again(folder) if maker(folder) else f"Delete {folder} and get the model anew."
        raise UserError(f"{problem}. {advice} If you have changed the model yourself, delete {folder / CHECKSUMS}.")


def _no_weights(part: Path, folder: Path) -> str:
    """What is said of a folder without safetensors."""
    if pickled := next(iter(sorted(part.glob(_PICKLED))), None):
        return (
            f"has only pickled weights ({pickled.name}), which can run code: expected model.safetensors; who trusts "
            f"the file writes it with SentenceTransformer({str(folder)!r}).save_pretrained(NEW_FOLDER)."
        )
    return "has no weights: expected model.safetensors beside config.json; copy the whole model there."


def model_files(reference: str) -> list[Path]:
    """Files of a model in a local folder; none of a hub id or a package, whose names say which they are."""
    folder = Path(reference).expanduser()
    return sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else []


def check_files(folder: Path) -> None:
    """Check the files of one folder by their names: weights, configuration, tokenizer.

    Raises:
        UserError: naming the first file that is a pointer, empty or cut off.
    """
    for pattern, problem_of in _looks().items():
        for file in sorted(folder.glob(pattern)):
            _check(file, problem_of)


def check_gguf(file: Path) -> None:
    """The same of one GGUF file."""
    _check(file, _gguf_problem)


def _check(file: Path, problem_of: Callable[[Path], str | None]) -> None:
    if problem := _pointer_problem(file) or problem_of(file):
        raise UserError(f"{file} cannot be read: {problem}; get the file anew.")


def _looks() -> dict[str, Callable[[Path], str | None]]:
    """What says what is wrong with a file, by the pattern of its name."""
    return {
        **dict.fromkeys(_JSON, _json_problem),
        **dict.fromkeys(_PLAIN, lambda file: None),
        _WEIGHTS: _safetensors_problem,
    }


def tensor_shapes(file: Path) -> dict[str, list[int]]:
    """Shape of each tensor of a safetensors file, by name, as its header has them."""
    return {name: entry["shape"] for name, entry in header(file).items() if name != "__metadata__"}


def read_config(folder: Path) -> dict[str, Any]:
    """A model's ``config.json``; empty where there is none."""
    return read_foreign(folder / "config.json")


def parts(folder: Path) -> Iterator[tuple[Path, bool]]:
    """The folders that make a model, each with whether it has weights: those of its modules, or itself alone."""
    modules = folder / "modules.json"
    if not modules.is_file():
        yield folder, not (folder / "adapter_config.json").is_file()
        return
    check_files(folder)
    for module in read_foreign(modules, list):
        with expecting(modules, "list of modules", "get the file anew"):
            part, kind = below(modules, module.get("path", "")), str(module.get("type", ""))
        if not kind.startswith(_LIBRARY):
            raise UserError(
                f"{modules} asks for code of the model's own ({kind}), which tDRO does not run; choose one of modules "
                "of sentence-transformers."
            )
        weighted = kind.rpartition(".")[2] in _WEIGHTED
        yield part, weighted and not (part / "adapter_config.json").is_file()


def below(file: Path, name: str) -> Path:
    """The file or folder that a file of a model names, which need not be there.

    Raises:
        UserError: when the name leads out of the folder of the file, or is none that a file can have.
        TypeError: when it is no text.
    """
    place = file.parent / name
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            place.lstat()
        inside = not Path(name).is_absolute() and ".." not in Path(name).parts
    except (OSError, ValueError):  # longer than names may be, or with signs that no name has
        inside = False
    if not inside:
        raise UserError(f"{file} names {name!r}: expected a file or folder below {file.parent}; get the file anew.")
    return place


def _pointer_problem(file: Path) -> str | None:
    """What is wrong with a file of any kind."""
    if not file.is_file():
        return "the link leads nowhere"
    with file.open("rb") as stream:
        start = stream.read(len(_POINTER))
    if start == _POINTER:
        return f"it is a Git LFS pointer, not the content (run `git lfs pull` in {file.parent})"
    return None if start else "it is empty"


def _json_problem(file: Path) -> str | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        return f"it is cut off or no JSON ({said(error)})"
    if file.name == "modules.json":
        whole = isinstance(content, list) and all(isinstance(module, dict) for module in content)
        return None if whole else "expected a list of modules"
    if not isinstance(content, dict):
        return "expected an object"
    if file.name.endswith(".safetensors.index.json"):
        with expecting(file, "index of weights", "get the file anew"):
            shards = sorted({str(shard) for shard in content.get("weight_map", {}).values()})
        for shard in shards:
            if not below(file, shard).is_file():
                return f"it names {shard}, which is not beside it"
    return None


def _safetensors_problem(file: Path) -> str | None:
    size = file.stat().st_size
    try:
        found = header(file)
        stated = max([entry["data_offsets"][1] for name, entry in found.items() if name != "__metadata__"] or [0])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return f"it is cut off or no safetensors file ({size} bytes)"
    stated += header_bytes(file)
    return None if size == stated else f"it has {size} bytes, its header states {stated}"


def header_bytes(file: Path) -> int:
    """Where the tensors of a safetensors file begin."""
    with file.open("rb") as stream:
        return _HEADER + int.from_bytes(stream.read(_HEADER), "little")


def header(file: Path) -> dict[str, Any]:
    """The header of a safetensors file: type, shape and place behind the header of each tensor, by name.

    Raises:
        ValueError: when there is none.
    """
    length = header_bytes(file) - _HEADER
    if length > min(_LONGEST_HEADER, file.stat().st_size - _HEADER):
        raise ValueError("the header is longer than the file")
    with file.open("rb") as stream:
        stream.seek(_HEADER)
        return json.loads(stream.read(length))


def _gguf_problem(file: Path) -> str | None:
    with file.open("rb") as stream:
        return None if stream.read(4) == b"GGUF" else "it is no GGUF file"
