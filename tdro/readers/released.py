"""The paper's released training sets: ``{task}.jsonl.tar.gz``, read as a stream and never unpacked.

A line is ``{"query_id", "query", "positive_passages": [{"docid", "title", "text"}], "negative_passages": [...]}``
(dataset ``tdro-llm/finetune_data``). The path may also be the ``.jsonl`` or ``.jsonl.gz`` itself, or a
folder of such parts, which are read in the order of their names.
"""

import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from tdro.errors import UserError
from tdro.readers.archives import BROKEN, Header, check_packed
from tdro.readers.base import BadRow, Row, Split
from tdro.readers.files import lines, opened, split_lines, unreadable
from tdro.readers.jsonl import ENDINGS as LINES
from tdro.readers.jsonl import rows_of
from tdro.readers.parts import chained, find
from tdro.readers.where import ALL, Where

_ARCHIVES = (".tar.gz", ".tgz")


def read(path: Path, split: Split, where: Where = ALL) -> Iterator[Row | BadRow | None]:
    """Yield a row a line, None for one that ``where`` does not take; the files are one split.

    Raises:
        UserError: for a file that is missing or broken, a folder or archive without JSON lines, or when all are empty.
    """
    yield from chained(find(path, LINES + _ARCHIVES), partial(_rows, where=where), path)


def _rows(part: Path, where: Where) -> Iterator[Row | BadRow | None]:
    if part.name.lower().endswith(LINES):
        return rows_of(lines(part, json=True), str(part), where)
    return _archived(part, where)


def _archived(path: Path, where: Where) -> Iterator[Row | BadRow | None]:
    """Rows of every ``.jsonl`` file in an archive. Names of members are compared and shown, never used as paths."""
    found = False
    try:
        with opened(path) as packed, tarfile.open(fileobj=packed, mode="r|", tarinfo=Header) as archive:
            for member in archive:
                check_packed(member, path.stat().st_size)
                if member.isfile() and _is_lines(member.name):
                    found = True
                    place = f"{path}:{member.name}"
                    yield from rows_of(split_lines(archive.extractfile(member), place, json=True), place, where)
            while packed.read(1 << 20):  # to the end, where gzip's checksum stands
                pass
    except BROKEN as error:
        raise unreadable(path, error) from None
    if not found:
        raise UserError(f"{path} holds no .jsonl file; expected the released form, one TASK.jsonl in a .tar.gz.")


def _is_lines(name: str) -> bool:
    """Whether a member holds rows; ``._*`` are attributes that macOS adds."""
    return name.endswith(".jsonl") and not PurePosixPath(name).name.startswith("._")
