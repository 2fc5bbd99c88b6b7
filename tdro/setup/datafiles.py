"""The datasets in a folder: files, numbered parts of one, folders in BEIR's layout; and which of them are for tests."""

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from tdro.config.sections import as_name
from tdro.readers.parts import either
from tdro.readers.peek import kind_of_file

# `train-00000-of-00003`, `part.12`, `rows_7`: the number of a part.
_PART = re.compile(r"[-_.]?\d+(-of-\d+)?$")
# Last words of names of what is evaluated or chosen on, not trained on.
_SPLITS = {"test": "test", "eval": "test", "dev": "dev", "valid": "dev", "validation": "dev"}


class Found(NamedTuple):
    """A dataset, and what it is for.

    Attributes:
        path: A file, a folder in BEIR's layout, or a pattern of the parts of one file.
        name: What to call it.
        use: ``train``; ``test`` where results are to be reported; ``dev`` where choices are to be made.
    """

    path: str
    name: str
    use: str


def datasets(folder: Path) -> tuple[list[Found], list[Path]]:
    """The datasets below a folder, at any depth, and the files that are none."""
    if is_beir(folder):
        return [_beir(folder)], []
    found, others = [], []
    groups: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            inner, left_out = datasets(path)
            found += inner
            others += left_out
        elif kind := kind_of_file(path):
            stem = _stem(path)
            groups[_PART.sub("", stem) or stem, path.name[len(stem) :] or kind].append(path)
        else:
            others.append(path)
    for (stem, ending), paths in groups.items():
        found += _files(folder, stem, ending, paths)
    return sorted(found), others


def _files(folder: Path, stem: str, ending: str, paths: list[Path]) -> list[Found]:
    """One dataset of numbered parts, or one of each file."""
    if len(paths) > 1:
        return [_found(str(folder / f"{stem}*{ending}"), folder, stem)]
    return [_found(str(path), folder, _stem(path)) for path in paths]


def _found(path: str, folder: Path, stem: str) -> Found:
    last = re.split(r"[-_.]", stem.lower())[-1]
    # `train.jsonl` and `data/faq/train.jsonl` are called as their folder is.
    plain = stem if last != "train" else stem[: -len("train")].rstrip("-_.") or folder.name
    name = f"{folder.name}-{stem}" if stem.lower() in _SPLITS else plain
    return Found(path, as_name(name) or "data", _SPLITS.get(last, "train"))


def _beir(folder: Path) -> Found:
    trained = either(folder / "qrels", "train.tsv") is not None
    return Found(str(folder), as_name(folder.name) or "data", "train" if trained else "test")


def is_beir(folder: Path) -> bool:
    """Whether a folder has a corpus of BEIR's layout."""
    return either(folder, "corpus.jsonl") is not None


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name.removesuffix(Path(name).suffix)
