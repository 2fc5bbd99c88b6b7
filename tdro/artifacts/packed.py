"""Archives to hand on. The same content gives the same bytes, whoever packs it and when."""

import gzip
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def packing(archive: Path, level: int) -> Iterator[tarfile.TarFile]:
    """Write a ``.tar.gz``; add members to what comes, those of a file system with ``filter=of_nobody``.

    Args:
        archive: The file.
        level: Of gzip, from 1 (quick) to 9 (small).
    """
    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", level, file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as packed,
    ):
        yield packed


def of_nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A member without a time, or a name and rights of this machine's users."""
    member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, "", ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member
