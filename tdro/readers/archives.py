"""Zip and tar archives, read member by member: nothing of one is imported, executed, unpickled or linked to.

An archive may be broken or made to harm: names that leave the folder, links, headers and contents that unpack to more
than a machine holds. Each of these is refused by a sentence.
"""

import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

from tdro.artifacts.beside import scratch, to_disk
from tdro.artifacts.shapes import reason
from tdro.artifacts.sums import write_sums
from tdro.errors import UserError

#: What reading a broken archive raises.
BROKEN = (
    *(OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, struct.error),
    # Fields of headers that are no numbers, names that are no text or empty, kinds of compression or encryption.
    *(ValueError, IndexError, OverflowError, NotImplementedError, RuntimeError),
)

# How many times its own size an archive may unpack to, and what any may: data pack to a tenth, rarely to a fiftieth.
_MOST_TIMES, _ANY_UNPACKS_TO = 100, 1 << 26
# What gzip cannot exceed: 258 bytes of every two bits.
_DEFLATES_AT_MOST = 1032
# Bytes of a name that file systems have no more room for.
_LONGEST_NAME = 256
# Bytes that are unpacked at a time.
_CHUNK = 1 << 20
# What the library raises at the end of an archive, under names that it does not tell.
_ENDS = ("EmptyHeaderError", "EOFHeaderError")
# Bytes of a name or of further attributes, which are read at once.
_LONGEST_HEADER = 1 << 20
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class Header(tarfile.TarInfo):
    """The header of a member of a tar archive: a broken one is an error, where the library takes it for the end.

    Use it as ``tarfile.open(..., tarinfo=Header)``.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """A header of its bytes.

        Raises:
            tarfile.ReadError: for one that is broken, states a size below 0, at which the library would never end, or
                announces a name or attributes that no memory may hold.
        """
        try:
            made = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if type(error).__name__ in _ENDS:
                raise
            raise tarfile.ReadError(f"a member's header is broken: {error}") from None
        if made.size < 0 or (made.type in _HEADERS and made.size > _LONGEST_HEADER):
            raise tarfile.ReadError(f"a member's header states {made.size:,} bytes")
        return made


def check_packed(member: tarfile.TarInfo, packed: int) -> None:
    """Raises tarfile.ReadError: for a member that is longer than anything that gzip packs to so many bytes.

    The library would read on behind the end of the file, as long as the header says.
    """
    if member.size > packed * _DEFLATES_AT_MOST:
        raise tarfile.ReadError(f"a member's header states {member.size:,} bytes")


class Archive:
    """A wheel, zip or tar.gz, read member by member.

    Args:
        path: the archive. Its members are named as inside it, with ``/``.

    Raises:
        UserError: when the file is missing or is no such archive.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: zipfile.ZipFile | tarfile.TarFile
        self._members: dict[str, Any]
        try:
            self._members = {m.name: m for m in self._tar()} if self._is_tar else {m.filename: m for m in self._zip()}
        except BROKEN as error:
            raise self._broken(error) from None

    @property
    def _is_tar(self) -> bool:
        return self.path.name.endswith((".tar.gz", ".tgz"))

    def _tar(self) -> Iterator[tarfile.TarInfo]:
        """The members of a tar archive that are files: of a link or device there are no bytes of its own to read."""
        self._file = tarfile.open(self.path, "r:gz", tarinfo=Header)  # noqa: SIM115 (lives as long as the object)
        unpacked = 0
        for member in self._file:
            unpacked += member.size
            self._check_size(unpacked)
            if member.isfile():
                yield member

    def _zip(self) -> Iterator[zipfile.ZipInfo]:
        """The same of a zip archive, whose links are files that hold where they lead to."""
        self._file = zipfile.ZipFile(self.path)
        self._check_size(sum(member.file_size for member in self._file.infolist()))
        for member in self._file.infolist():
            if member.filename and not member.is_dir():
                yield member

    def _check_size(self, unpacked: int) -> None:
        """Raises UserError: for an archive that unpacks to more than data do."""
        if unpacked > max(_ANY_UNPACKS_TO, _MOST_TIMES * self.path.stat().st_size):
            raise UserError(
                f"{self.path} of {self.path.stat().st_size / 1e6:,.1f} MB would unpack to {unpacked / 1e6:,.0f} MB or "
                "more, as no data do; do not use this archive."
            )

    def names(self) -> list[str]:
        """Names of all files, sorted."""
        return sorted(self._members)

    def read(self, name: str) -> bytes:
        """The content of one file.

        Raises:
            UserError: when the archive has no such file.
        """
        if name not in self._members:
            raise UserError(
                f"{self.path.name} has no member {name!r}: it is not the version that the reader expects; "
                "correct `package` and `sha256` in the registry."
            )
        return b"".join(self._chunks(name))

    def extract(self, prefix: str, folder: str | Path) -> None:
        """Write the file ``prefix``, or every file below it, into ``folder``, all or nothing.

        A single file keeps its own name, a file below ``prefix`` its path relative to it. A folder
        that exists is left as it is, so that two processes may extract the same at once.

        Raises:
            UserError: when the archive has nothing there, or a member would leave ``folder``.
        """
        folder = Path(folder)
        if folder.exists():
            return
        targets = self._targets(prefix.rstrip("/"))
        with scratch(folder) as temporary:
            content = temporary / "content"
            for name, relative in targets.items():
                target = content / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    file.writelines(self._chunks(name))
            write_sums(content)
            to_disk(content)
            try:
                content.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process has just finished the same work
                    raise

    def _targets(self, prefix: str) -> dict[str, PurePosixPath]:
        """Where below the folder each wanted member goes."""
        if prefix in self._members:
            targets = {prefix: PurePosixPath(prefix).name}
        else:
            targets = {n: n.removeprefix(f"{prefix}/") for n in self.names() if n.startswith(f"{prefix}/")}
        if not targets:
            raise UserError(f"{self.path.name} has nothing named {prefix!r}; correct the path inside the package.")
        folders = {str(parent) for relative in targets.values() for parent in PurePosixPath(relative).parents}
        for name, relative in targets.items():
            if not _is_safe(relative) or str(PurePosixPath(relative)) in folders:
                raise UserError(f"{self.path.name} holds the unsafe path {name!r}; do not use this archive.")
        return {name: PurePosixPath(relative) for name, relative in targets.items()}

    def _chunks(self, name: str) -> Iterator[bytes]:
        """What a file holds, piece by piece."""
        try:
            with self._open(name) as stream:
                while chunk := stream.read(_CHUNK):
                    yield chunk
        except BROKEN as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> UserError:
        return UserError(f"{self.path} is not a readable archive ({reason(error)}); delete it and fetch it again.")

    def _open(self, name: str) -> IO[bytes]:
        member = self._members[name]
        return self._file.open(member) if isinstance(self._file, zipfile.ZipFile) else self._file.extractfile(member)


def _is_safe(relative: str) -> bool:
    """Whether a path stays below the folder that it is relative to, on every system, and can be written there."""
    path = PurePosixPath(relative)
    leaves = path.is_absolute() or ".." in path.parts or any(sign in relative for sign in "\\:\0")
    return not leaves and all(len(part.encode("utf-8", "surrogateescape")) < _LONGEST_NAME for part in path.parts)
