"""Some files as people read them, and as JSON.

output.put(show([Path("weights/curr.json"), Path("weights/top70.json")], Asked()), as_json=False)
"""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
from rich.console import RenderableType
from rich.errors import NotRenderableError
from rich.text import Text

from tdro.artifacts.shapes import MALFORMED, said
from tdro.errors import UserError
from tdro.report.show import folders
from tdro.report.show.kinds import Kind, kind_of, known
from tdro.report.show.view import Asked, View

#: What of :class:`Asked` is said on the command line, and what it is good for.
_OPTIONS = {
    "rows": "--rows counts rows that are shown",
    "row": "--row shows one row",
    "drawn": "--drawn is for the passes that weights mean",
}
# What is wrong with a file that is of a kind at a first look, and holds something else below it.
_MALFORMED = (*MALFORMED, gzip.BadGzipFile, EOFError, tarfile.TarError, zlib.error, NotRenderableError)


def show(paths: Sequence[Path], asked: Asked) -> View:
    """Show files; those of a kind that can be compared stand beside each other, others one after the other.

    Args:
        paths: Files and folders.
        asked: How much of each.

    Returns:
        The content is a dictionary of ``kind``, ``files`` and ``content``, or a list of such.

    Raises:
        UserError: for a path that is not there, a file of no known kind, one that is damaged, or what is asked of a
            kind that has no such thing.
    """
    asked = asked.checked()
    for path in paths:
        folders.check(path)
    files = [file for path in paths for file in folders.expanded(path)]
    groups = _groups(files)
    _check_use(groups, asked)
    views = [(kind, members, _view(kind, members, asked)) for kind, members in groups]
    contents = [
        {"kind": kind.name if kind else "folder", "files": list(map(str, members)), "content": view.content}
        for kind, members, view in views
    ]
    parts: list[RenderableType] = []
    for kind, members, view in views:
        if len(views) > 1:
            name = kind.name if kind else "folder"
            parts.append(Text(f"\n{', '.join(map(str, members))}: {name}", "bold reverse"))
        parts += view.parts
    return View(parts, contents if len(contents) > 1 else contents[0])


def _groups(files: Sequence[Path]) -> list[tuple[Kind | None, list[Path]]]:
    """Files that are shown beside each other, in the order of the first of each group; None is a folder."""
    groups: list[tuple[Kind | None, list[Path]]] = []
    for file in files:
        kind = known(file) if file.is_dir() else kind_of(file)
        same = next((members for other, members in groups if kind and kind.together and other == kind), None)
        if same is None:
            groups.append((kind, [file]))
        else:
            same.append(file)
    return groups


def _check_use(groups: Sequence[tuple[Kind | None, list[Path]]], asked: Asked) -> None:
    """Refuse an option that none of the files makes use of."""
    for name, use in _OPTIONS.items():
        if getattr(asked, name) is not None and not any(kind and name in kind.takes for kind, _ in groups):
            kind, files = groups[0]
            what = f"of the kind {kind.name!r}" if kind else "a folder"
            raise UserError(f"{files[0]} is {what}, which has no use for --{name}: {use}.")


def _view(kind: Kind | None, files: list[Path], asked: Asked) -> View:
    if kind is None:
        return folders.listing(files[0])
    if len(files) > 1:
        return _guarded(lambda: kind.together(files, asked), kind, files)
    return _guarded(lambda: kind.view(files[0], asked), kind, files)


def _guarded(made: Callable[[], View], kind: Kind, files: Sequence[Path]) -> View:
    """A view; a file that is damaged below its first look is named."""
    named = ", ".join(map(str, files))
    try:
        return made()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException) as error:
        raise UserError(f"{named} is damaged or has a column of another type ({said(error)}); make it again.") from None
    except _MALFORMED as error:
        raise UserError(f"{named} is no whole {kind.name} ({said(error)}); make it again.") from None
