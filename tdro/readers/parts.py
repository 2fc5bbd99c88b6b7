"""The parts that a source's `path` stands for: a file, those in a folder, or what a pattern matches.

In patterns `*` stands for a part of a name, `?` for a letter and `**`, between slashes, for folders at any depth.
"""

import glob
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from tdro.errors import UserError

_LOG = logging.getLogger(__name__)

# Entries below a folder that are looked through for files that the folder itself lacks.
_MOST_BELOW = 10_000

#: Endings of the files that readers of local data understand.
ENDINGS = (".jsonl", ".jsonl.gz", ".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".tar.gz", ".tgz")

# Endings of data, whoever reads them.
_OF_DATA = (*ENDINGS, ".ndjson", ".zst", ".bz2", ".xz", ".zip", ".7z", ".lz4", ".snappy", ".arrow", ".avro", ".orc")

Item = TypeVar("Item")


def find(path: Path, endings: Sequence[str]) -> list[Path]:
    """The files to read, in the order of their names.

    Args:
        path: a file, which may have any name, a folder or a pattern.
        endings: what the names of the files in a folder, or of those that a pattern matches, end in.

    Raises:
        UserError: when there is none; of a folder whose files lie further down, with the pattern to write.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        found = list(_data(_matching(str(path)), endings))
        if not found and not glob.has_magic(str(path)):
            raise UserError(f"{path} cannot be read: No such file or directory; correct `path` of the source.")
    else:
        found = sorted(_data(path.iterdir(), endings))
        _look_below(path, endings, found)
        if not found:
            raise UserError(f"{path} holds no {', '.join(endings)} file; correct `path` of the source.")
        _tell_of_others(path, found)
    if not found:
        raise UserError(f"{path} names no file of these kinds: {', '.join(endings)}; correct `path` of the source.")
    return found


def local_files(path: str | None) -> list[str]:
    """The files that a source's ``path`` stands for.

    That is the file itself, the data files of a folder (BEIR's ``qrels`` among them), or those that a
    pattern matches; of a qrels file, all of its dataset. It is [] where there is none yet.
    """
    place = Path(path or "")
    if path and place.is_file():
        return [path] if place.parent.name != "qrels" else sorted({path, *local_files(str(place.parent.parent))})
    if path and place.is_dir():
        found = [*place.iterdir(), *place.glob("qrels/*")]
        return sorted(str(file) for file in found if file.is_file() and file.name.lower().endswith(ENDINGS))
    return [str(file) for file in _matching(path or "")]


def _matching(pattern: str) -> list[Path]:
    """Files whose paths match a pattern, sorted; each once, also where links to folders make circles.

    Raises:
        UserError: when ``**`` stands beside other letters, where it would mean no more than ``*``.
    """
    if any("**" in part and part != "**" for part in Path(pattern).parts):
        better = pattern.replace("**", "**/*")
        raise UserError(f"{pattern}: `**` must stand alone between slashes; write {better}.")
    found: dict[Path, Path] = {}
    for name in sorted(glob.glob(pattern, recursive=True), key=_depth):  # noqa: PTH207 - a pattern may be absolute
        file = Path(name)
        if file.is_file():
            # Files that are links count each: in the hub's cache, two of equal content lead to one place.
            found.setdefault(file.parent.resolve() / file.name, file)
    return sorted(found.values())


def _depth(name: str) -> tuple[int, str]:
    return name.count("/"), name


def either(folder: Path, name: str) -> Path | None:
    """The file of that name, or its gzipped form; None when neither is there."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _look_below(folder: Path, endings: Sequence[str], found: list[Path]) -> None:
    """Tell of files one level down or deeper, which a folder does not stand for.

    Raises:
        UserError: when there are no others.
    """
    entries = (file for file in islice(folder.glob("*/**/*"), _MOST_BELOW) if _shown(file.relative_to(folder)))
    below = min(_data(entries, endings), default=None)
    if below is None:
        return
    told = f"in folders below it, such as {below}; write `path: {folder}/**/*{_ending(below, endings)}`"
    if not found:
        raise UserError(
            f"{folder} holds no {', '.join(endings)} file itself but some {told} (of a hub dataset: without the "
            "folder of the cache) to read them."
        )
    _LOG.warning("%s: %d files are read, and none of those %s to read all", folder, len(found), told)


def _tell_of_others(folder: Path, found: list[Path]) -> None:
    """Warn of data in other forms, such as parts of another compression."""
    others = sorted(set(_data(folder.iterdir(), _OF_DATA)) - set(found))
    if others:
        _LOG.warning("%s: %d files of other kinds are left out, such as %s", folder, len(others), others[0])


def _shown(path: Path) -> bool:
    """Whether no program has hidden a file or a folder above it (`.cache`, `_temporary`, `_delta_log`)."""
    return not any(part.startswith((".", "_")) for part in path.parts)


def _data(files: Iterable[Path], endings: Sequence[str]) -> Iterator[Path]:
    """Data files; names that begin with a dot are those of programs (`._part.csv`)."""
    for file in files:
        if not file.name.startswith(".") and file.name.lower().endswith(tuple(endings)) and file.is_file():
            yield file


def _ending(file: Path, endings: Sequence[str]) -> str:
    return next(ending for ending in sorted(endings, key=len, reverse=True) if file.name.lower().endswith(ending))


def chained(found: Sequence[Path], read: Callable[[Path], Iterator[Item]], source: Path) -> Iterator[Item]:
    """What all parts hold; parts without rows are named in the log.

    Raises:
        UserError: when no part holds any row.
    """
    empty = []
    for part in found:
        rows = 0
        for rows, item in enumerate(read(part), start=1):  # noqa: B007 - counts
            yield item
        if not rows:
            empty.append(part)
    if len(empty) == len(found):
        raise UserError(f"{source} holds no rows; fill it, or correct `path` of the source in the registry.")
    if empty:
        _LOG.warning("%s: %d of %d files hold no rows, such as %s", source, len(empty), len(found), empty[0])
