"""Whether models are alike but for the values of their weights, so that an average of them means anything."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tdro.artifacts.foreign import read_foreign
from tdro.artifacts.sums import CHECKSUMS
from tdro.errors import UserError
from tdro.models.load import SETTINGS
from tdro.models.modelfiles import parts
from tdro.models.stored import Place, StoredModel

# What another version of a library writes otherwise, and how a tokenizer was used last.
_IGNORED = {"__version__", "transformers_version", "_name_or_path", "dtype", "torch_dtype", "truncation", "padding"}
_ABSENT = object()


def check_alike(first: StoredModel, other: StoredModel) -> None:
    """Check that two trained models read, prompt, pool and compute alike.

    Raises:
        UserError: naming what differs.
    """
    mine, theirs = _settings(first.folder), _settings(other.folder)
    if odd := sorted(mine.keys() ^ theirs.keys()):
        have, lack = (first, other) if odd[0] in mine else (other, first)
        raise _differ(first, other, f"{have.folder} has {odd[0]}, and {lack.folder} has not")
    for file, content in mine.items():
        if key := _difference(content, theirs[file]):
            raise _differ(first, other, f"{file} says otherwise of {key}")
    check_tensors(first, other)


def check_base(trained: StoredModel, base: StoredModel) -> None:
    """Check that a base has the tensors, the pooling and the vocabulary of what was trained from it.

    Its prompts, lengths and whether it normalises vectors may be others: the merged model has those of the trained one.

    Raises:
        UserError: naming what differs.
    """
    for what, found in {"way of pooling": _pooling, "vocabulary": _vocabulary}.items():
        if found(trained.folder) != found(base.folder):
            raise _differ(trained, base, f"the {what} is another")
    check_tensors(trained, base)


def check_tensors(first: StoredModel, other: StoredModel) -> None:
    """Check that two models have tensors of the same names, shapes and types.

    Raises:
        UserError: naming the first that differs.
    """
    for (part, name), place in first.places.items():
        if (part, name) not in other.places:
            raise _differ(first, other, f"{other.folder / part} has no tensor {name}")
        if (mine := _form(place)) != (theirs := _form(other.places[part, name])):
            raise _differ(first, other, f"{name} is {mine} and {theirs}")
    for part, name in other.places:
        if (part, name) not in first.places:
            raise _differ(first, other, f"{first.folder / part} has no tensor {name}")


def _form(place: Place) -> str:
    return f"{place.dtype} {list(place.shape)}"


def _differ(first: StoredModel, other: StoredModel, what: str) -> UserError:
    return UserError(
        f"{first.folder} and {other.folder} cannot be averaged: {what}; average models that were trained from one base "
        "with the same settings."
    )


def _settings(folder: Path) -> dict[str, Any]:
    """Content of each JSON file of a model by its path in it; of the settings of a training its prompts."""
    found = {}
    for part, _ in parts(folder):
        for file in sorted({*folder.glob("*.json"), *part.glob("*.json")}):
            if not file.name.endswith(".safetensors.index.json") and file.name != CHECKSUMS:
                found[file.relative_to(folder).as_posix()] = json.loads(file.read_text(encoding="utf-8"))
    if SETTINGS in found:
        found[SETTINGS] = {"prompts": found[SETTINGS].get("model", {}).get("prompts")}
    return found


def _difference(mine: Any, theirs: Any) -> str:
    """Path of the first key whose values differ; empty where none does."""
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        pairs = {key: (mine.get(key, _ABSENT), theirs.get(key, _ABSENT)) for key in {**mine, **theirs}}
        for key, (one, other) in pairs.items():
            if key not in _IGNORED and (below := _difference(one, other)):
                return f"{key}.{below}".rstrip(".")
        return ""
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        found = enumerate(map(_difference, mine, theirs))
        return next((f"{at}.{below}".rstrip(".") for at, below in found if below), "")
    return "" if mine == theirs else "."


def _pooling(folder: Path) -> list[set[str]]:
    """The ways in which a model pools, as this version of the library and earlier ones write them."""
    found = []
    for file in sorted(folder.glob("*_Pooling/config.json")):
        config = read_foreign(file)
        modes = [config["pooling_mode"]] if "pooling_mode" in config else [k for k in config if config[k] is True]
        found.append({re.sub("pooling_mode_|_tokens?$", "", mode) for mode in modes if mode != "include_prompt"})
    return found


def _vocabulary(folder: Path) -> Any:
    """The vocabulary of a model's tokenizer; None where no tokenizer.json says it."""
    files = sorted({folder / "tokenizer.json", *folder.glob("*/tokenizer.json")})
    found = [read_foreign(file).get("model") for file in files]
    return [model.get("vocab") if isinstance(model, dict) else None for model in found]
