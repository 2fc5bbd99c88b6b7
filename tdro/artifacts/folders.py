"""Folders are written beside their place and then moved there, so that nobody finds half of one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tdro.artifacts.beside import entry_to_disk, scratch, share, to_disk
from tdro.artifacts.fulldisk import naming
from tdro.errors import UserError


def check_output(output: Path, mark: str = "modules.json", kind: str = "SentenceTransformer folder") -> None:
    """Raises UserError: when a folder that is not of this kind, and so lacks the file ``mark``, would be replaced."""
    if output.exists() and not (output / mark).is_file() and (output.is_file() or any(output.iterdir())):
        raise UserError(f"{output} exists and is no {kind}; name another output.")


@contextmanager
def replacing_folder(output: Path) -> Iterator[Path]:
    """Yield a folder to write to; on success it takes the place of ``output``, else it goes.

    Raises:
        UserError: when the disk is full.
    """
    with naming(output), scratch(output) as temporary:
        folder = temporary / "whole"
        folder.mkdir()
        yield folder
        share(folder)
        to_disk(folder)
        if output.exists():  # aside at once: to remove it takes longer
            output.rename(temporary / "before")
        folder.rename(output)
        entry_to_disk(output)
