"""What tells one state of local files from another, whichever of them is older."""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tdro.artifacts.files import digest

#: Of smaller files the content counts, of larger ones size and time: reading all of them would keep a run waiting. The
#: same limit as Snakemake's (`--max-checksum-file-size`), so that a small file that is only touched changes nothing.
SMALL = 1_000_000


def state(files: Iterable[str | Path]) -> str:
    """A text that differs when a file was replaced, by an older one too, and when one came or went."""
    states = "\n".join(_state(Path(file)) for file in files)
    return hashlib.sha256(states.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def nameable(files: Iterable[str | Path]) -> list[str | Path]:
    """The files that Snakemake can take as inputs; the others are watched by their :func:`state` alone.

    It writes names as UTF-8, which those of an old archive may not be, and takes braces for wildcards.
    """
    return [file for file in files if not {"{", "}"} & set(str(file)) and _is_unicode(str(file))]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@cache
def _state(file: Path) -> str:
    found = file.stat()
    # Whole seconds: what an archive or another file system keeps of a time.
    content = digest(file) if found.st_size <= SMALL else str(int(found.st_mtime))
    return f"{file}\0{found.st_size}\0{content}"
