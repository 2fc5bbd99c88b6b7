"""The paper's released training sets: ``{task}.jsonl.tar.gz``, read as a stream and never unpacked.

A line is ``{"query_id", "query", "positive_passages": [{"docid", "title", "text"}], "negative_passages": [...]}``
(dataset ``tdro-llm/finetune_data``). The path may also be the ``.jsonl`` or ``.jsonl.gz`` itself, or a
folder of such parts, which are read in the order of their names.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tdro.errors import UserError
from tdro.sources import BadRow, Row, Split
from tdro.sources.files import BROKEN, lines, opened, split_lines, unreadable
from tdro.sources.jsonl import rows_of

_LINES = (".jsonl", ".jsonl.gz")
_ARCHIVES = (".tar.gz", ".tgz")


def read(path: Path, split: Split) -> Iterator[Row | BadRow]:
    """Yield a row a line; the files are one split.

    Raises:
        UserError: for a file that is missing or broken, or a folder or archive without JSON lines.
    """
    for part in _parts(path):
        if part.name.endswith(_LINES):
            yield from rows_of(lines(part), str(part))
        else:
            yield from _archived(part)


def _parts(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    parts = sorted(part for part in path.iterdir() if part.is_file() and part.name.endswith(_LINES + _ARCHIVES))
    if not parts:
        raise UserError(f"{path} holds no {', '.join(_LINES + _ARCHIVES)} file; correct `path` of the source.")
    return parts


def _archived(path: Path) -> Iterator[Row | BadRow]:
    """Rows of every ``.jsonl`` file in an archive. Names of members are compared and shown, never used as paths."""
    found = False
    try:
        with opened(path) as packed, tarfile.open(fileobj=packed, mode="r|") as archive:
            for member in archive:
                if member.isfile() and _is_lines(member.name):
                    found = True
                    yield from rows_of(split_lines(archive.extractfile(member)), f"{path}:{member.name}")
            while packed.read(1 << 20):  # to the end, where gzip's checksum stands
                pass
    except (*BROKEN, tarfile.TarError) as error:
        raise unreadable(path, error) from None
    if not found:
        raise UserError(f"{path} holds no .jsonl file; expected the released form, one TASK.jsonl in a .tar.gz.")


def _is_lines(name: str) -> bool:
    """Whether a member holds rows; ``._*`` are attributes that macOS adds."""
    return name.endswith(".jsonl") and not PurePosixPath(name).name.startswith("._")
