"""Folders: files that are shown beside each other, a list of what can be shown; and paths that are not there."""

import os
from pathlib import Path

from rich.text import Text

from tdro.artifacts.files import count_rows
from tdro.config.nearest import nearest
from tdro.errors import UserError
from tdro.formats import count
from tdro.report.show.drawing import table
from tdro.report.show.kinds import known
from tdro.report.show.view import View

# What is left out of a file's name most easily.
_ENDS = (".parquet", ".json")


def check(path: Path) -> None:
    """Refuse a path that is not there.

    Raises:
        UserError: with the path that was probably meant.
    """
    if not path.exists():
        meant = _meant(path)
        raise UserError(f"{path} does not exist" + (f" (did you mean {str(meant)!r}?)." if meant else "."))


def expanded(path: Path) -> list[Path]:
    """The files that stand for a folder: all of its JSON files, where such are shown beside each other."""
    files = sorted(path.glob("*.json")) if path.is_dir() and known(path) is None else []
    kinds = {kind.name: kind for file in files if (kind := known(file))}
    beside = len(kinds) == 1 and next(iter(kinds.values())).together
    return [file for file in files if known(file)] if beside else [path]


def listing(path: Path) -> View:
    """What of a folder can be shown.

    Raises:
        UserError: when it holds nothing.
    """
    found = []
    for one in sorted(path.iterdir(), key=lambda one: (one.is_dir(), one.name)):
        kind = None if one.name.startswith(".") else known(one)
        if kind or (one.is_dir() and not one.name.startswith(".")):
            rows = count_rows(one) if one.suffix == ".parquet" else None
            found.append((one.name + "/" * one.is_dir(), kind.name if kind else "folder", rows))
    if not found:
        raise UserError(f"{path} holds nothing that `tdro show` knows.")
    shown = table("file", "kind", "rows", left=("kind",))
    for name, kind_name, rows in found:
        shown.add_row(name, kind_name, "" if rows is None else count(rows))
    content = [dict(zip(("file", "kind", "rows"), one, strict=True)) for one in found]
    return View([shown, Text(f"tdro show {path}{os.sep}FILE shows one of them", "dim")], {"files": content})


def _meant(path: Path) -> Path | None:
    """The path that is most like it, part by part."""
    place = Path(path.parts[0]) if path.is_absolute() else Path()
    for part in path.parts[1:] if path.is_absolute() else path.parts:
        if not (place / part).exists():
            there = sorted(one.name for one in place.iterdir()) if place.is_dir() else []
            with_end = (f"{part}{end}" for end in _ENDS)
            part = next((name for name in with_end if name in there), None) or nearest(part, there)
            if part is None:
                return None
        place /= part
    return place
