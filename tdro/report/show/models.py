"""Models and embeddings: what a folder or an archive holds, without loading a model."""

import math
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import polars as pl
from rich.console import RenderableType
from rich.markdown import Markdown
from rich.text import Text

from tdro.artifacts.arrays import open_array
from tdro.artifacts.files import read_json, read_table
from tdro.artifacts.foreign import read_foreign
from tdro.artifacts.schemas import TASK_MEANS
from tdro.errors import UserError
from tdro.formats import count, cut
from tdro.models.modelfiles import header
from tdro.readers.archives import Header, check_packed
from tdro.report.show.drawing import figure, heading, table
from tdro.report.show.view import Asked, View

_CARD, _SETTINGS = "README.md", "training_settings.json"
# Bytes of a card that are shown.
_LONGEST_CARD = 1 << 20
_SIZES = ("out_features", "word_embedding_dimension", "embedding_dimension", "hidden_size")


def folder(path: Path, asked: Asked) -> View:
    """A SentenceTransformer folder: what it is made of, its prompts, how it was trained, and its card."""
    about, prompts, trained = _about(path), _prompts(path), _trained(path)
    parts: list[RenderableType] = [_pairs(about), heading("prompts"), _prompt_table(prompts)]
    if trained:
        parts += [heading("training"), _pairs(trained)]
    card = path / _CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    if text:
        parts += [heading("card"), _card(text, asked)]
    return View(parts, {"model": about, "prompts": prompts, "training": trained, "card": text})


def archive(path: Path, asked: Asked) -> View:
    """A packed model: its files with their sizes, and its card."""
    with tarfile.open(path, tarinfo=Header) as packed:
        members = []
        for member in packed:
            check_packed(member, path.stat().st_size)
            members += [member] if member.isfile() else []
        cards = [m for m in members if PurePosixPath(m.name).name == _CARD and len(PurePosixPath(m.name).parts) == 2]
        text = packed.extractfile(cards[0]).read(_LONGEST_CARD).decode("utf-8", "replace") if cards else ""
    shown = table("file", "bytes")
    for member in members:
        shown.add_row(member.name, count(member.size))
    files = {member.name: member.size for member in members}
    return View([shown, *([heading("card"), _card(text, asked)] if text else [])], {"files": files, "card": text})


def embeddings(path: Path, asked: Asked) -> View:
    """Embeddings of corpus and queries: what made them, and how many there are; of a folder or a manifest."""
    manifests = {path.parent.name: path} if path.is_file() else {one.parent.name: one for one in _manifests(path)}
    contents = {name: read_json(file) for name, file in manifests.items()}
    parts: list[RenderableType] = []
    for name, content in contents.items():
        parts += [heading(name), _pairs({key: _short(value) for key, value in content.items()})]
    return View(parts, contents)


def shard(path: Path, asked: Asked) -> View:
    """A shard of embeddings: its shape, and the beginnings of its first vectors."""
    array = open_array(path)
    first = asked.row or 0
    if array.ndim != 2:
        raise UserError(f"{path} holds an array of {array.ndim} dimensions; a shard of embeddings has 2.")
    rows = array[first : first + (1 if asked.row is not None else asked.rows or 5)]
    shown = table("row", "length", "first numbers", left=("first numbers",))
    for number, row in enumerate(rows.astype(np.float32), start=first):
        shown.add_row(str(number), figure(float(np.linalg.norm(row)), 3), " ".join(f"{v:+.3f}" for v in row[:8]))
    about = {"shape": list(array.shape), "type": str(array.dtype)}
    return View([Text(f"{array.shape}, {array.dtype}"), shown], about | {"rows": rows.astype(float).tolist()})


def means(path: Path, asked: Asked) -> View:
    """Cosines of the tasks' mean embeddings: which tasks are alike to the miner."""
    rows = pl.DataFrame(read_table(path, TASK_MEANS))
    vectors = np.array(rows["mean"].to_list())
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines, tasks = vectors @ vectors.T, rows["task"].to_list()
    shown = table("task", "mean cosine", "nearest", " ", "farthest", "  ", left=("nearest", "farthest"))
    for place, task in enumerate(tasks):
        others = sorted((float(cosines[place, n]), name) for n, name in enumerate(tasks) if n != place)
        if others:
            (low, far), (high, near) = others[0], others[-1]
            mean = sum(value for value, _ in others) / len(others)
            shown.add_row(task, figure(mean, 3), near, figure(high, 3), far, figure(low, 3))
    content = {task: dict(zip(tasks, map(float, row), strict=True)) for task, row in zip(tasks, cosines, strict=True)}
    return View([shown], {"cosines": content})


def fetched(path: Path, asked: Asked) -> View:
    """What was downloaded: the request, the commit, the files with sizes and checksums."""
    content = read_json(path)
    request = {key: _short(value) for key, value in content["request"].items() if value}
    shown = table("file", "bytes", "sha256", left=("sha256",))
    for file in content["files"][: asked.rows]:
        shown.add_row(file["path"], count(file["size"]), file.get("sha256") or "-")
    about = request | {"commit": content.get("commit") or "-", "folder": content["folder"]}
    return View([_pairs(about), shown], content)


def sums(path: Path, asked: Asked) -> View:
    """The checksums of a folder's files."""
    content = read_json(path)
    shown = table("file", "bytes", "CRC-32", left=("file", "CRC-32"))
    for name, one in list(content["files"].items())[: asked.rows]:
        shown.add_row(name, count(one["size"]), one["crc32"])
    return View([shown], content)


def _about(path: Path) -> dict[str, Any]:
    modules = read_foreign(path / "modules.json", list)
    names = [module["type"].rpartition(".")[2] for module in modules]
    tensors = {k: v for file in _tensor_files(path) for k, v in header(file).items() if k != "__metadata__"}
    parameters = sum(math.prod(one["shape"]) for one in tensors.values())
    about: dict[str, Any] = {"modules": " → ".join(names), "dimensions": _dimensions(path, modules, tensors)}
    if tensors:
        types = sorted({one["dtype"] for one in tensors.values()})
        about |= {"parameters": parameters, "stored as": ", ".join(types)}
    config = read_foreign(path / "config_sentence_transformers.json")
    return about | {key: config[key] for key in ("similarity_fn_name",) if key in config}


def _dimensions(path: Path, modules: list[dict], tensors: Mapping[str, Any]) -> int | None:
    """Numbers of an embedding: what the last module that says a size gives, else the width of the token vectors."""
    for module in reversed(modules):
        for file in sorted((path / module["path"]).glob("*config.json")):
            config = read_foreign(file)
            if size := next((config[key] for key in _SIZES if isinstance(config.get(key), int)), None):
                return size
    shapes = [one["shape"] for one in tensors.values() if len(one["shape"]) == 2]
    return shapes[-1][1] if shapes else None


def _tensor_files(path: Path) -> Iterator[Path]:
    yield from sorted(path.rglob("*.safetensors"))


def _prompts(path: Path) -> dict[str, str]:
    return read_foreign(path / "config_sentence_transformers.json").get("prompts") or {}


def _prompt_table(prompts: Mapping[str, str]) -> RenderableType:
    if not any(prompts.values()):
        return Text("Nothing stands before a text: the model has no prompts.")
    shown = table("name", "what stands before a text", left=("what stands before a text",))
    for name, prompt in prompts.items():
        shown.add_row(name, Text(repr(prompt), "magenta"))
    return shown


def _trained(path: Path) -> dict[str, Any]:
    """What the training's settings say in a few words."""
    settings = read_foreign(path / _SETTINGS)
    if not settings:
        return {}
    training, model, encoding = settings["training"], settings["model"], settings["encoding"]
    return {
        "base": model["base"],
        "tasks": ", ".join(settings["tasks"]),
        "steps": training["steps"],
        "rows of a batch": training["batch_size"],
        "hard negatives of a row": training["negatives"],
        "learning rate": training["learning_rate"],
        "temperature": training["temperature"],
        "tokens of a query": encoding["query_length"],
        "tokens of a passage": encoding["passage_length"],
        "seed": settings["seed"],
    }


def _card(text: str, asked: Asked) -> RenderableType:
    """Markdown as it is meant on a terminal, as it is elsewhere; without the metadata before it."""
    body = text.split("\n---\n", 1)[1] if text.startswith("---\n") and "\n---\n" in text else text
    return Text(body.strip()) if asked.whole else Markdown(body)


def _pairs(values: Mapping[str, Any]):
    shown = table("", " ", left=(" ",))
    shown.show_header, shown.box = False, None
    shown.padding = (0, 2, 0, 0)
    for key, value in values.items():
        number = isinstance(value, int) and not isinstance(value, bool)
        shown.add_row(Text(key, "dim"), "-" if value is None else count(value) if number else str(value))
    return shown


def _short(value: Any) -> Any:
    """A value of a manifest as a cell."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return cut(", ".join(map(str, value)), 120) if isinstance(value, list) else value


def _manifests(path: Path) -> list[Path]:
    return [path / "manifest.json"] if (path / "manifest.json").is_file() else sorted(path.glob("*/manifest.json"))
